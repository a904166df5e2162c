"""Builders for the evaluation tests: tasks, and pairs of labels with a known error."""

from __future__ import annotations

import numpy as np

from semtel_dagster.classifiers import Label, Task
from semtel_dagster.evaluation.records import Evaluation, TaskResult, Usage, new_id


def task(name="topic", labels=("work", "travel", "food"), ordinal=False):
    """A task whose definitions say nothing."""
    made = tuple(Label(name=label, definition=f"is about {label}") for label in labels)
    return Task(name=name, question="Which?", labels=made, ordinal=ordinal)


def noisy_pairs(a_task, n, accuracy, seed=0, missing=0.0):
    """(gold, ours) pairs: the gold label with this probability, else any; some without a label."""
    rng = np.random.default_rng(seed)
    names = [label.name for label in a_task.labels]
    gold = rng.choice(names, size=n, p=_uneven(len(names)))
    ours = np.where(rng.random(n) < accuracy, gold, rng.choice(names, size=n))
    lost = rng.random(n) < missing
    return [(str(g), None if gone else str(o)) for g, o, gone in zip(gold, ours, lost, strict=True)]


def evaluation(classifier, fingerprint, model, verdict, made_at, **fields):
    """A kept evaluation with this verdict and next to nothing measured."""
    return Evaluation(
        id=new_id(classifier, fingerprint, model, made_at),
        classifier=classifier,
        fingerprint=fingerprint,
        parser_fingerprint="p",
        model=model,
        answered_by=model,
        endpoints=("east",),
        made_at=made_at,
        gold="",
        n_sample=2,
        repeats=1,
        tasks=(TaskResult(classifier, ("work", "food"), ordinal=False, shares={"work": 1.0}),),
        usage=Usage(),
        verdict=verdict,
        reasons=("because.",),
        **fields,
    )


def _uneven(k):
    weights = np.arange(1, k + 1, dtype=float)
    return weights / weights.sum()

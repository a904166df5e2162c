"""From answers to a kept evaluation: agreement with gold, drift from the baseline, stability, the verdict.

The statistics themselves are in `semtel_dagster.evaluation`; here they are applied to a candidate's answers.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import orjson

from semtel_dagster.classifiers import CompiledPrompt, Task
from semtel_dagster.evaluation.agreement import compare, measure
from semtel_dagster.evaluation.annotators import alpha
from semtel_dagster.evaluation.drift import MISSING, paired_drift
from semtel_dagster.evaluation.golden import GoldenSet
from semtel_dagster.evaluation.records import Annotators, Evaluation, Labels, TaskResult, new_id
from semtel_dagster.evaluation.stability import measure_stability
from semtel_dagster.evaluation.verdict import Evidence, judge
from semtel_dagster.trials.asking import Answers, add_usage
from semtel_dagster.trials.cases import Cases

SMALL = 50


@dataclass(frozen=True)
class Candidate:
    """A prompt and a model under test: the model's name in the settings, and its endpoints."""

    prompt: CompiledPrompt
    model: str
    endpoints: tuple[str, ...]


def evaluate(
    candidate: Candidate,
    answers: Sequence[Answers],
    golden: GoldenSet,
    cases: Cases,
    sample: Cases,
    baseline: Evaluation | None,
    *,
    now: dt.datetime,
    seed: int = 0,
) -> Evaluation:
    """Measures a candidate's answers.

    Args:
        candidate: What was asked.
        answers: One per repeat; the first is measured, all together tell the stability.
        golden: Human labels.
        cases: The golden cases' conversations.
        sample: Conversations without labels.
        baseline: The evaluation to compare with, if there is one.
        now: When.
        seed: Of bootstraps and permutations.
    """
    tasks = candidate.prompt.classifier.tasks
    labels = answers[0].labels
    golden_labels = {t.name: {case: labels[t.name].get(key) for case, key in cases.hashes.items()} for t in tasks}
    sample_labels = {t.name: {key: labels[t.name].get(key) for key in sample.hashes.values()} for t in tasks}
    results = tuple(
        _task_result(task, answers, golden, cases, golden_labels, sample_labels, baseline, seed) for task in tasks
    )
    verdict = judge(_evidence(result) for result in results)
    fingerprint = candidate.prompt.fingerprint
    name = candidate.prompt.classifier.name
    return Evaluation(
        id=new_id(name, fingerprint, candidate.model, now),
        classifier=name,
        fingerprint=fingerprint,
        parser_fingerprint=answers[0].parser,
        model=candidate.model,
        answered_by=", ".join(answers[0].models),
        endpoints=candidate.endpoints,
        made_at=now,
        gold=gold_fingerprint(golden, tasks),
        n_sample=len(sample),
        repeats=len(answers),
        tasks=results,
        usage=reduce(add_usage, (each.usage for each in answers)),
        verdict=verdict.kind,
        reasons=verdict.reasons,
        notes=tuple(_notes(results, cases, sample)),
        baseline=baseline.id if baseline else None,
        golden_labels=golden_labels,
        sample_labels=sample_labels,
    )


def _task_result(
    task: Task,
    answers: Sequence[Answers],
    golden: GoldenSet,
    cases: Cases,
    golden_labels: Labels,
    sample_labels: Labels,
    baseline: Evaluation | None,
    seed: int,
) -> TaskResult:
    ours, sampled = golden_labels[task.name], sample_labels[task.name]
    gold = {case: label for case, label in golden.gold(task).items() if case in ours}
    names = [label.name for label in task.labels]
    shown = sampled or ours
    counts = Counter(label or MISSING for label in shown.values())
    keys = sorted({*cases.hashes.values(), *sampled})
    result = TaskResult(
        task=task.name,
        labels=tuple(names),
        ordinal=task.ordinal,
        n_gold=len(gold),
        agreement=measure(task, [(gold[case], ours[case]) for case in sorted(gold)], seed=seed) if gold else None,
        annotators=_annotators(task, golden, seed),
        stability=measure_stability([[each.labels[task.name].get(key) for key in keys] for each in answers], seed=seed),
        statuses=answers[0].statuses[task.name],
        shares={name: counts[name] / len(shown) for name in [*names, MISSING]} if shown else {},
    )
    return _compared(result, task, gold, ours, sampled, baseline, seed) if baseline else result


def _compared(
    result: TaskResult,
    task: Task,
    gold: Mapping[str, str],
    ours: Mapping[str, str | None],
    sampled: Mapping[str, str | None],
    baseline: Evaluation,
    seed: int,
) -> TaskResult:
    """The result with what the baseline said about the same golden cases and conversations."""
    before = baseline.golden_labels.get(task.name, {})
    common = sorted(case for case in gold if case in before)
    if common:
        result = replace(result, paired=compare(task, [(gold[case], before[case], ours[case]) for case in common]))
    for name, now, then in (
        ("sample", sampled, baseline.sample_labels.get(task.name, {})),
        ("golden cases", ours, before),
    ):
        same = sorted(key for key in now if key in then)
        if same:
            pairs = [(then[key], now[key]) for key in same]
            drift = paired_drift(pairs, [label.name for label in task.labels], seed=seed)
            return replace(result, drift=drift, drift_on=name)
    return result


def _annotators(task: Task, golden: GoldenSet, seed: int) -> Annotators | None:
    ratings = {case: said for case, said in golden.ratings(task.name).items() if len(said) > 1}
    if not ratings:
        return None
    names = [label.name for label in task.labels]
    return Annotators(len(ratings), alpha(ratings, names, ordinal=task.ordinal, seed=seed))


def _evidence(result: TaskResult) -> Evidence:
    unsteady = result.stability.flip_rate if result.stability else None
    return Evidence(result.task, result.paired, result.drift, unsteady)


def _notes(results: Sequence[TaskResult], cases: Cases, sample: Cases) -> list[str]:
    notes = []
    if cases.missing:
        notes.append(
            f"{len(cases.missing)} golden cases have no conversation in the golden files, the tables or the source."
        )
    for result in results:
        if 0 < result.n_gold < SMALL:
            notes.append(f"{result.task}: {result.n_gold} golden cases show large differences only.")
        elif not result.n_gold:
            notes.append(f"{result.task}: no golden case, so nothing here says whether the labels are right.")
    if not len(sample):
        notes.append("No sample without labels: the storage holds no prepared week, or --sample is 0.")
    return notes


def gold_fingerprint(golden: GoldenSet, tasks: Sequence[Task]) -> str:
    """Tells whether two evaluations were held against the same gold."""
    gold = {task.name: golden.gold(task) for task in tasks}
    if not any(gold.values()):
        return ""
    return hashlib.blake2b(orjson.dumps(gold, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()

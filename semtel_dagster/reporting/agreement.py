"""How well a week's labels agree with labels that people gave. Scoring prompts and models belongs in `trials/`."""

from __future__ import annotations

import datetime as dt
import glob
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from semtel_dagster.classifiers import CompiledPrompt, Task
from semtel_dagster.evaluation.agreement import cohen_kappa
from semtel_dagster.evaluation.golden import GoldenSet, load_golden
from semtel_dagster.reporting.frames import read, stored_weeks


@dataclass(frozen=True)
class Agreement:
    """How labels of a task compare with human labels of the same conversations.

    Attributes:
        n: Conversations compared; one without a valid label counts as a disagreement.
        accuracy: Share with the same label.
        kappa: Cohen's kappa, quadratic weights for an ordinal task; None where it is undefined.
        quadratic: Whether the weights are quadratic.
        baseline: The accuracy of always answering the commonest human label.
    """

    task: str
    n: int
    accuracy: float
    kappa: float | None
    quadratic: bool
    baseline: float


def measure_agreement(task: Task, pairs: Sequence[tuple[str, str | None]]) -> Agreement | None:
    """Compares (human label, our label) pairs; None if there are none."""
    if not pairs:
        return None
    gold = Counter(human for human, _ in pairs)
    same = sum(human == ours for human, ours in pairs)
    kappa = cohen_kappa(pairs, [label.name for label in task.labels], quadratic=task.ordinal)
    return Agreement(task.name, len(pairs), same / len(pairs), kappa, task.ordinal, max(gold.values()) / len(pairs))


def load_gold(pattern: str) -> GoldenSet:
    """Human labels from the golden files that a glob finds; none where it finds none.

    Raises:
        SettingsError: A line is not an object with conversation_id, task and label.
    """
    return load_golden([pattern]) if glob.glob(pattern, recursive=True) else GoldenSet()


def agreement_with_gold(
    storage: str, prompts: Mapping[str, CompiledPrompt], gold: GoldenSet, until: dt.date
) -> dict[str, Agreement]:
    """Agreement by task, over all stored weeks up to `until` whose labels come from the prompt as it is now."""
    found: dict[str, Agreement] = {}
    for name, prompt in prompts.items():
        ours = _labels(storage, name, prompt.fingerprint, until)
        for task in prompt.classifier.tasks:
            human = gold.gold(task)
            pairs = [(human[i], label) for (i, t), label in sorted(ours.items()) if t == task.name and i in human]
            agreement = measure_agreement(task, pairs)
            if agreement:
                found[task.name] = agreement
    return found


def _labels(storage: str, classifier: str, fingerprint: str, until: dt.date) -> dict[tuple[str, str], str | None]:
    columns = ["conversation_id", "task", "label", "prompt_fingerprint"]
    found: dict[tuple[str, str], str | None] = {}
    for week in stored_weeks(storage, "labels"):
        rows = read(storage, "labels", columns, week, classifier) if week <= until else None
        if rows is not None:
            current = rows.filter(
                pl.col("prompt_fingerprint").is_null() | (pl.col("prompt_fingerprint") == fingerprint)
            )
            found |= {(i, task): label for i, task, label, _ in current.collect().iter_rows()}
    return found

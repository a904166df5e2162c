"""How well a week's labels agree with labels that people gave. Scoring prompts and models belongs in `evals/`."""

from __future__ import annotations

import datetime as dt
import glob
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from semtel_dagster.classifiers import CompiledPrompt, Task
from semtel_dagster.errors import SettingsError
from semtel_dagster.reporting.frames import read, stored_weeks

UNLABELLED = "(unlabelled)"


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


def cohen_kappa(pairs: Sequence[tuple[str, str | None]], labels: Sequence[str], *, quadratic: bool) -> float | None:
    """Chance-corrected agreement (Cohen 1960; weights of Cohen 1968).

    Args:
        pairs: (human label, our label); a missing or alien label of ours is as far from any label as can be.
        labels: The task's labels, in order.
        quadratic: Whether a disagreement counts by the square of its distance in that order.

    Returns:
        1 for full agreement, 0 for what chance gives; None where both always say one and the same label.
    """
    position = {label: index for index, label in enumerate(labels)}
    size = len(labels) + 1
    table = np.zeros((size, size))
    for human, ours in pairs:
        table[position.get(human, size - 1), position.get(ours or UNLABELLED, size - 1)] += 1
    order = np.arange(size)
    weights = (
        ((order[:, None] - order) / max(size - 2, 1)) ** 2 if quadratic else (order[:, None] != order).astype(float)
    )
    weights[-1, :] = weights[:, -1] = 1.0
    weights[-1, -1] = 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / len(pairs)
    chance = float((weights * expected).sum())
    return 1 - float((weights * table).sum()) / chance if chance else None


def load_gold(pattern: str) -> dict[str, dict[str, str]]:
    """Human labels by task and conversation id, from the JSONL files that a glob finds.

    Raises:
        SettingsError: A line is not an object with conversation_id, task and label.
    """
    gold: dict[str, dict[str, str]] = {}
    for path in sorted(glob.glob(pattern, recursive=True)):
        for number, line in enumerate(Path(path).read_bytes().split(b"\n"), start=1):
            if line.strip():
                try:
                    row = json.loads(line)
                    gold.setdefault(row["task"], {})[row["conversation_id"]] = row["label"]
                except (ValueError, KeyError, TypeError):
                    raise SettingsError(
                        f"{Path(path).name}, line {number} is no gold label; it needs conversation_id, task and label"
                    ) from None
    return gold


def agreement_with_gold(
    storage: str, prompts: Mapping[str, CompiledPrompt], gold: Mapping[str, Mapping[str, str]], until: dt.date
) -> dict[str, Agreement]:
    """Agreement by task, over all stored weeks up to `until` whose labels come from the prompt as it is now."""
    found: dict[str, Agreement] = {}
    for name, prompt in prompts.items():
        ours = _labels(storage, name, prompt.fingerprint, until)
        for task in prompt.classifier.tasks:
            human = gold.get(task.name, {})
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

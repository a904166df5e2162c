"""What the labels given by hand say, once they are given: agreement among people, and with the stored labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from semtel_dagster.classifiers import Task
from semtel_dagster.evaluation.agreement import Estimate, measure
from semtel_dagster.evaluation.annotators import alpha
from semtel_dagster.evaluation.golden import GoldenSet


def summarise(golden: GoldenSet, tasks: Sequence[Task], storage: str) -> list[dict[str, Any]]:
    """One object per task that has labels: how many, by whom, and how they agree.

    Args:
        golden: The labels of all annotators.
        tasks: The tasks that were asked.
        storage: Where the stored table `labels` is.
    """
    return [_task(task, golden, storage) for task in tasks if task.name in golden.tasks]


def _task(task: Task, golden: GoldenSet, storage: str) -> dict[str, Any]:
    names = [label.name for label in task.labels]
    ratings, gold = golden.ratings(task.name), golden.gold(task)
    shared = {case: said for case, said in ratings.items() if len(said) > 1}
    ours = _stored(storage, task.name, list(gold))
    pairs = [(gold[case], ours[case]) for case in sorted(gold) if case in ours]
    measured = measure(task, pairs) if pairs else None
    return {
        "task": task.name,
        "cases": len(ratings),
        "annotators": sorted({annotator for said in ratings.values() for annotator in said}),
        "shared_cases": len(shared),
        "alpha": _ends(alpha(shared, names, ordinal=task.ordinal)) if shared else None,
        "model_cases": len(pairs),
        "model_accuracy": _ends(measured.accuracy) if measured else None,
        "model_kappa": _ends(measured.kappa) if measured else None,
    }


def _stored(storage: str, task: str, cases: Sequence[str]) -> Mapping[str, str | None]:
    """The stored labels of some cases; of several weeks the last one counts."""
    parts = sorted(Path(storage, "labels").glob("week=*/classifier=*/*.parquet"))
    if not parts:
        return {}
    rows = pl.scan_parquet(parts, hive_partitioning=False).select("conversation_id", "task", "label")
    wanted = rows.filter(pl.col("task") == task, pl.col("conversation_id").is_in(list(cases)))
    return {case: label for case, _, label in wanted.collect().iter_rows()}


def _ends(estimate: Estimate) -> list[float | None]:
    return [estimate.value, estimate.low, estimate.high]

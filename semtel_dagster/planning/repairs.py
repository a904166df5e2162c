"""How many second questions a backfill will ask: about answers that give no label, where the settings say so.

They depend on answers that are not there yet, so they are an estimate from the past, told beside the exact calls.
Their tokens are in the learned rates already, since an answer's tokens are those of both questions.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from semtel_dagster.datasets import partition_folder
from semtel_dagster.labels.parsed import REPAIRED_MARK
from semtel_dagster.planning.history import History
from semtel_dagster.planning.project import Project

MOST_WEEKS = 3


def second_calls(project: Project, history: History, calls: Iterable[tuple[str, int]]) -> int:
    """Second questions to expect.

    Args:
        project: The current state; without `requests.repair: ask` nothing is asked twice.
        history: The recorded state.
        calls: By classifier, the first questions that are due.
    """
    if project.settings.requests.repair != "ask":
        return 0
    storage = project.settings.storage
    return round(sum(count * _share(storage, history, classifier) for classifier, count in calls))


def _share(storage: str, history: History, classifier: str) -> float:
    """Of the newest weeks' answers, those whose first one gave no label; 0 before the first week."""
    weeks = sorted((week for week, name in history.grid["labels"] if name == classifier), reverse=True)
    asked = again = 0.0
    for week in weeks[:MOST_WEEKS]:
        labels = history.of("labels", week, classifier) or {}
        answered = int(labels.get("conversations", 0)) - int(labels.get("unanswered", 0))
        parts = sorted(partition_folder(storage, "responses", week, classifier).glob("*.parquet"))
        if not parts or not answered:
            continue
        answers = pl.scan_parquet(parts, hive_partitioning=False).filter(pl.col("status") == "answered")
        repaired = pl.col("error").str.starts_with(REPAIRED_MARK).sum()
        rows, mended = answers.select(pl.len(), repaired).collect().row(0)
        asked += rows
        again += mended + rows * int(labels.get("invalid", 0)) / answered
    return min(1.0, again / asked) if asked else 0.0

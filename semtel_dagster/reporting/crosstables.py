"""Cross tables of two tasks' labels in a week, under the same disclosure control as the shares."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import polars as pl

from semtel_dagster.classifiers import CompiledPrompt, Task
from semtel_dagster.reporting.frames import read
from semtel_dagster.settings import AggregateSettings

Key: TypeAlias = tuple[str, str]
Hide: TypeAlias = Callable[[Mapping[Key, tuple[int, int]], Mapping[str, int], AggregateSettings], frozenset[Key]]

MOST_COLUMNS = 6
OTHERS = "(all others)"
_ROW = "row="


@dataclass(frozen=True)
class CrossCell:
    """Conversations with both labels.

    Attributes:
        n: None where it is not shown.
        share: Weighted share of the row's conversations, likewise.
        small: Whether it is below the thresholds, and not hidden to protect another.
    """

    n: int | None
    share: float | None
    small: bool


@dataclass(frozen=True)
class CrossTable:
    """Labels of one task (rows) by labels of another (columns).

    Rows in which nothing could be shown are taken together as "(all others)".
    """

    rows_task: Task
    columns_task: Task
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[Key, CrossCell]


def cross_tables(
    storage: str, week: dt.date, prompts: Mapping[str, CompiledPrompt], thresholds: AggregateSettings, hide: Hide
) -> tuple[CrossTable, ...]:
    """Crosses the task with the most labels with every task whose labels are ordered or scored.

    Args:
        storage: Root of the dataset layout.
        week: The report's week.
        prompts: The classifiers, by name.
        thresholds: The least that a shown cell must have.
        hide: Chooses the cells that are not shown: `estimation.suppression.hidden_cells`.
    """
    tasks = [(name, task) for name, prompt in prompts.items() for task in prompt.classifier.tasks]
    wide = [pair for pair in tasks if not pair[1].ordinal and len(pair[1].labels) > 2]
    if not wide:
        return ()
    rows = max(wide, key=lambda pair: len(pair[1].labels))
    columns = [
        (name, task)
        for name, task in sorted(tasks, key=lambda pair: pair[1].score is None)
        if (task.ordinal or task.score) and len(task.labels) <= MOST_COLUMNS and task != rows[1]
    ]
    tables = [_cross(storage, week, rows, pair, thresholds, hide) for pair in columns]
    return tuple(table for table in tables if table)


def _cross(
    storage: str,
    week: dt.date,
    rows: tuple[str, Task],
    columns: tuple[str, Task],
    thresholds: AggregateSettings,
    hide: Hide,
) -> CrossTable | None:
    left, right = (_labels(storage, week, *pair) for pair in (rows, columns))
    if left is None or right is None:
        return None
    pairs = left.join(right.select("conversation_id", column="label"), on="conversation_id").rename({"label": "row"})
    every = [label.name for label in rows[1].labels]
    first = _table(rows[1], columns[1], every, pairs, thresholds, hide)
    shown = [row for row in first.rows if any(first.cells[row, column].n is not None for column in first.columns)]
    merged = pairs.with_columns(row=pl.when(pl.col("row").is_in(shown)).then("row").otherwise(pl.lit(OTHERS)))
    return _table(rows[1], columns[1], [*shown, OTHERS], merged, thresholds, hide) if shown else None


def _table(
    rows_task: Task,
    columns_task: Task,
    rows: Sequence[str],
    pairs: pl.LazyFrame,
    thresholds: AggregateSettings,
    hide: Hide,
) -> CrossTable:
    """The table of (row, column) pairs, with the cells hidden that must be."""
    counted = pairs.group_by("row", "column").agg(
        n=pl.len(), n_users=pl.col("user").n_unique(), weight=pl.col("weight").sum()
    )
    cells = {(row, column): (n, users, weight) for row, column, n, users, weight in counted.collect().iter_rows()}
    hidden = hide(_counts(cells, pairs), _small_users(pairs, counted, thresholds), thresholds)
    totals: dict[str, float] = {}
    for (row, _), (_, _, weight) in cells.items():
        totals[row] = totals.get(row, 0.0) + weight
    kept = sorted((row for row in rows if row in totals), key=lambda row: (row == OTHERS, -totals[row], row))
    columns = tuple(label.name for label in columns_task.labels)
    shown = {
        (row, column): _cell(cells.get((row, column)), totals[row], (f"{_ROW}{row}", column) in hidden, thresholds)
        for row in kept
        for column in columns
    }
    return CrossTable(rows_task, columns_task, tuple(kept), columns, shown)


def _cell(
    counted: tuple[int, int, float] | None, total: float, hidden: bool, thresholds: AggregateSettings
) -> CrossCell:
    n, users, weight = counted or (0, 0, 0.0)
    small = n < thresholds.min_conversations or users < thresholds.min_users
    return CrossCell(None, None, small) if small or hidden else CrossCell(n, weight / total, small)


def _labels(storage: str, week: dt.date, classifier: str, task: Task) -> pl.LazyFrame | None:
    rows = read(storage, "labels", ["conversation_id", "user_id", "task", "label", "weight"], week, classifier)
    if rows is None:
        return None
    return rows.filter((pl.col("task") == task.name) & pl.col("label").is_not_null()).select(
        "conversation_id", "label", "weight", user=pl.coalesce("user_id", "conversation_id")
    )


def _counts(cells: Mapping[Key, tuple[int, int, float]], pairs: pl.LazyFrame) -> dict[Key, tuple[int, int]]:
    """Each cell, and the columns' totals, which the label shares publish."""
    totals = pairs.group_by("column").agg(n=pl.len(), n_users=pl.col("user").n_unique()).collect()
    counts = {(f"{_ROW}{row}", column): (n, users) for (row, column), (n, users, _) in cells.items()}
    return counts | {("all", column): (n, users) for column, n, users in totals.iter_rows()}


def _small_users(pairs: pl.LazyFrame, counted: pl.LazyFrame, thresholds: AggregateSettings) -> dict[str, int]:
    small = counted.filter(
        (pl.col("n") < thresholds.min_conversations) | (pl.col("n_users") < thresholds.min_users)
    ).select("row", "column")
    users = pairs.join(small, on=["row", "column"]).group_by("row").agg(pl.col("user").n_unique()).collect()
    return {f"{_ROW}{row}": n for row, n in users.iter_rows()}

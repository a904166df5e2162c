"""A week's label shares as values: with the week before, changes and the trend. No formatting here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from semtel_dagster.classifiers import Task
from semtel_dagster.reporting.frames import read
from semtel_dagster.tables import LABEL_SHARES

ALL = "all"


class Change(Protocol):
    """A difference of two weeks' shares: `estimation.change.Change`."""

    @property
    def difference(self) -> float:
        """This week's share minus last week's."""
        ...

    @property
    def low(self) -> float:
        """The lower end of its interval."""
        ...

    @property
    def high(self) -> float:
        """The upper end of its interval."""
        ...

    @property
    def significant(self) -> bool:
        """Whether it stands after the correction for many comparisons."""
        ...


@dataclass(frozen=True)
class ShareRow:
    """A row of `label_shares`; the estimates are None where the whole segment is suppressed."""

    week: dt.date
    classifier: str
    task: str
    label: str
    segment: str
    n: int
    n_users: int
    share: float
    suppressed: bool
    method: str
    effective_n: float | None = None
    low: float | None = None
    high: float | None = None
    mean_score: float | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies the cell from week to week."""
        return self.classifier, self.task, self.label


Compare: TypeAlias = Callable[[Mapping[Any, Any], Mapping[Any, Any]], Mapping[Any, Change]]


@dataclass(frozen=True)
class TaskShares:
    """One task's shares in the week of a report.

    Attributes:
        rows: This week's shares, all conversations; for an ordinal task in the order of its labels.
        changes: By label; only where both weeks publish the label.
        trend: Rows of this and earlier weeks.
        segments: This week's shares by segment, without "all".
        mean_score: Weighted mean of the task's score over the published labels; `mean_score_before`, last week's.
    """

    classifier: str
    task: Task
    rows: tuple[ShareRow, ...]
    changes: Mapping[str, Change]
    before: Mapping[str, ShareRow]
    trend: tuple[ShareRow, ...]
    segments: Mapping[str, tuple[ShareRow, ...]]
    mean_score: float | None = None
    mean_score_before: float | None = None

    @property
    def suppressed(self) -> int:
        """Conversations in the pooled row."""
        return sum(row.n for row in self.rows if row.suppressed)


def read_shares(storage: str, week: dt.date, classifier: str) -> list[ShareRow]:
    """The rows of a partition of `label_shares`; empty where it has not been written."""
    rows = read(storage, "label_shares", LABEL_SHARES.names, week, classifier)
    return [] if rows is None else [ShareRow(week, classifier, **row) for row in rows.collect().to_dicts()]


def task_shares(
    task: Task, classifier: str, history: Mapping[dt.date, Sequence[ShareRow]], changes: Mapping[Any, Change]
) -> TaskShares:
    """Arranges one task's rows.

    Args:
        task: The task, which gives the order of labels.
        classifier: Its classifier.
        history: Rows of the classifier by week, the report's week last.
        changes: By `ShareRow.key`.
    """
    own = {week: [row for row in rows if row.task == task.name] for week, rows in history.items()}
    weeks = sorted(own)
    now = own[weeks[-1]]
    previous = own.get(weeks[-1] - dt.timedelta(days=7), [])
    segments = sorted({row.segment for row in now} - {ALL})
    rows = [row for row in now if row.segment == ALL]
    return TaskShares(
        classifier,
        task,
        tuple(rows if task.ordinal else sorted(rows, key=_by_size)),
        {row.label: changes[row.key] for row in rows if row.key in changes},
        {row.label: row for row in previous if row.segment == ALL},
        tuple(row for week in weeks for row in own[week] if row.segment == ALL),
        {segment: tuple(row for row in now if row.segment == segment) for segment in segments},
        _mean_score(now),
        _mean_score(previous),
    )


def comparable(rows: Sequence[ShareRow]) -> dict[tuple[str, str, str], ShareRow]:
    """The rows that can be compared with another week's: estimated, all conversations, not pooled."""
    return {row.key: row for row in rows if row.segment == ALL and not row.suppressed and row.effective_n is not None}


def _by_size(row: ShareRow) -> tuple[bool, float, str]:
    """Real labels first, the largest first; "(invalid)", "(unanswered)" and "(suppressed)" after them."""
    return row.label.startswith("("), -row.share, row.label


def _mean_score(rows: Sequence[ShareRow]) -> float | None:
    scored = [row for row in rows if row.segment == ALL and row.mean_score is not None]
    total = sum(row.share for row in scored)
    return sum(row.share * (row.mean_score or 0.0) for row in scored) / total if total else None

"""The estimator of the aggregate stage: small tables of sums in, the rows of `label_shares` out.

It joins `suppression.py` and `shares.py`; the group-bys that make the sums belong in `stages/aggregate.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from semtel_dagster.classifiers import Task
from semtel_dagster.estimation.shares import METHOD, Cell, Population, estimate_share
from semtel_dagster.estimation.suppression import ALL, SUPPRESSED, Count, Key, hidden_cells
from semtel_dagster.settings import AggregateSettings
from semtel_dagster.tables import LABEL_SHARES

SPECIAL_LABELS = ("(invalid)", "(unanswered)", SUPPRESSED)


@dataclass(frozen=True)
class ShareEstimator:
    """Decides what is published of a week's labels, and estimates it.

    Attributes:
        options: Thresholds and confidence.
        tasks: The classifier's tasks; they give the order of the rows.
    """

    options: AggregateSettings
    tasks: Sequence[Task]

    def hide(self, counts: pa.Table, small_users: pa.Table) -> pa.Table:
        """The cells that go into their segment's "(suppressed)" row.

        Args:
            counts: Columns task, segment, label, n, n_users; one row per cell with a conversation.
            small_users: Columns task, segment, n_users; the distinct users of a segment's cells under the
                thresholds taken together.

        Returns:
            Columns task, segment, label.
        """
        users = {(row["task"], row["segment"]): row["n_users"] for row in small_users.to_pylist()}
        cells: dict[str, dict[Key, Count]] = {}
        for row in counts.to_pylist():
            cells.setdefault(row["task"], {})[row["segment"], row["label"]] = Count(row["n"], row["n_users"])
        hidden = [
            (task, *key)
            for task, table in cells.items()
            for key in hidden_cells(table, {s: n for (t, s), n in users.items() if t == task}, self.options)
        ]
        return _strings(["task", "segment", "label"], sorted(hidden))

    def estimate(self, sums: pa.Table, clusters: pa.Table) -> pa.Table:
        """The rows of `label_shares`.

        Args:
            sums: One row per published cell: task, segment, label, n, n_users, weight, squares, products, and
                scored_weight, scored (sums of weight and of weight x score where there is a score).
            clusters: Columns task, segment, clusters; distinct users.

        Returns:
            A table of schema `tables.LABEL_SHARES`, ordered by task, segment ("all" first) and label.
        """
        rows = sums.to_pylist()
        users = {(row["task"], row["segment"]): row["clusters"] for row in clusters.to_pylist()}
        populations = {key: _population(rows, key, users[key]) for key in users}
        ordered = sorted(rows, key=self._position)
        published = [self._row(row, populations[row["task"], row["segment"]]) for row in ordered]
        return pa.Table.from_pylist(published, schema=LABEL_SHARES)

    def _row(self, row: Mapping[str, Any], population: Population) -> dict[str, Any]:
        suppressed = row["label"] == SUPPRESSED
        columns = {name: row[name] for name in ("task", "label", "segment", "n", "n_users")}
        columns |= {"suppressed": suppressed, "share": 1.0, "method": METHOD}
        if suppressed and row["n"] == population.n:
            return columns | {"method": "not estimated: the whole segment is suppressed"}
        share = estimate_share(
            Cell(row["weight"], row["squares"], row["products"]), population, self.options.confidence
        )
        columns |= {"share": share.share, "effective_n": share.effective_n, "low": share.low, "high": share.high}
        if row["scored_weight"] and not suppressed:
            columns["mean_score"] = row["scored"] / row["scored_weight"]
        return columns

    def _position(self, row: Mapping[str, Any]) -> tuple[int, str, bool, str, int, str]:
        names = [task.name for task in self.tasks]
        task = names.index(row["task"]) if row["task"] in names else len(names)
        labels = [label.name for label in self.tasks[task].labels] if task < len(names) else []
        labels += SPECIAL_LABELS
        label = labels.index(row["label"]) if row["label"] in labels else -1
        return task, row["task"], row["segment"] != ALL, row["segment"], label, row["label"]


def _population(rows: Sequence[Mapping[str, Any]], key: tuple[str, str], clusters: int) -> Population:
    """A segment's totals; its cells' products add up to its sum of squares, since each row has one label."""
    own = [row for row in rows if (row["task"], row["segment"]) == key]
    return Population(
        n=sum(row["n"] for row in own),
        clusters=clusters,
        weight=sum(row["weight"] for row in own),
        squares=sum(row["products"] for row in own),
    )


def _strings(names: list[str], rows: list[tuple[str, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [[] for _ in names]
    return pa.table({name: pa.array(column, pa.large_string()) for name, column in zip(names, columns, strict=True)})

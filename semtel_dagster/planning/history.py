"""What was made when, as Dagster's instance records it: the newest materialization of every partition.

Belongs here: reading metadata of events. Nothing is compared here, and no table is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

PAGE = 1000
GridKey = tuple[str, str]
Event = Mapping[str, Any]
GRID = ("responses", "labels", "label_shares")
WEEKLY = ("conversations", "rejected_conversations", "distinct_conversations", "duplicate_groups", "weekly_report")


@dataclass(frozen=True)
class Made:
    """The newest materialization of a partition.

    Attributes:
        metadata: Its values by name.
        run_id: The run that made it.
        storage_id: Its place in the order of events.
    """

    metadata: Event
    run_id: str
    storage_id: int


@dataclass(frozen=True)
class History:
    """The newest materializations.

    Attributes:
        grid: By asset, then by (week, classifier).
        weekly: By asset, then by week.
    """

    grid: Mapping[str, Mapping[GridKey, Made]] = field(default_factory=dict)
    weekly: Mapping[str, Mapping[str, Made]] = field(default_factory=dict)

    @classmethod
    def read(cls, instance: dg.DagsterInstance) -> History:
        """Reads an instance: one query per thousand events of an asset."""
        grid = {asset: {_grid_key(key): made for key, made in _newest(instance, asset).items()} for asset in GRID}
        return cls(grid, {asset: _newest(instance, asset) for asset in WEEKLY})

    def of(self, asset: str, week: str, classifier: str) -> Event | None:
        """The metadata of a classifier's week, or None where it was never made."""
        made = self.grid.get(asset, {}).get((week, classifier))
        return made.metadata if made else None

    def is_prepared(self, week: str) -> bool:
        """Whether a week has the conversations that models are asked about."""
        return all(week in self.weekly.get(asset, {}) for asset in ("distinct_conversations", "duplicate_groups"))

    def rows_read(self, week: str) -> int | None:
        """How many rows of the source belonged to a week when it was read; None where it never was."""
        accepted = self.weekly.get("conversations", {}).get(week)
        if accepted is None:
            return None
        rejected = self.weekly.get("rejected_conversations", {}).get(week)
        return int(accepted.metadata.get("dagster/row_count", 0)) + int(
            rejected.metadata.get("of_this_week", 0) if rejected else 0
        )

    def identity(self, week: str) -> str | None:
        """The fingerprint of the week's distinct conversations, as they were last found."""
        return self._of_distinct(week, "data_fingerprint")

    def preparation(self, week: str) -> str | None:
        """The fingerprint of the settings by which they were found."""
        return self._of_distinct(week, "preparation_fingerprint")

    def _of_distinct(self, week: str, name: str) -> str | None:
        made = self.weekly.get("distinct_conversations", {}).get(week)
        return made.metadata.get(name) if made else None

    def is_reported(self, week: str) -> bool:
        """Whether a week's report is newer than all its labels."""
        report = self.weekly.get("weekly_report", {}).get(week)
        newest = self.newest_shares(week)
        return newest is None or (report is not None and report.storage_id > newest)

    def newest_shares(self, week: str) -> int | None:
        """The place of a week's newest shares in the order of events; None where there are none."""
        shares = self.grid.get("label_shares", {})
        return max((made.storage_id for (of, _), made in shares.items() if of == week), default=None)

    @property
    def weeks(self) -> set[str]:
        """Every week of which anything was made."""
        return {week for made in self.weekly.values() for week in made} | {
            week for made in self.grid.values() for week, _ in made
        }


def _newest(instance: dg.DagsterInstance, asset: str) -> dict[str, Made]:
    newest: dict[str, Made] = {}
    for record in _events(instance, asset):
        event = record.asset_materialization
        if event is not None and event.partition is not None and str(event.partition) not in newest:
            values = {name: value.value for name, value in event.metadata.items()}
            newest[str(event.partition)] = Made(values, record.run_id, record.storage_id)
    return newest


def _events(instance: dg.DagsterInstance, asset: str) -> Iterator[dg.EventLogRecord]:
    """All materializations of an asset, the newest first."""
    cursor, more = None, True
    while more:
        result = instance.fetch_materializations(dg.AssetKey(asset), limit=PAGE, cursor=cursor)
        yield from result.records
        cursor, more = result.cursor, result.has_more


def _grid_key(key: str) -> GridKey:
    """Dagster joins the dimensions by name: classifier, then week."""
    classifier, _, week = key.rpartition("|")
    return week, classifier

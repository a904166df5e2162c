"""Partitions by week and by classifier, and the names under which they are stored.

A week is known by its Monday, e.g. "2026-11-09"; a grid key names a classifier and a week.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

WEEK, CLASSIFIER = "week", "classifier"


@dataclass(frozen=True)
class Partitions:
    """The two partitionings of the graph."""

    weekly: dg.WeeklyPartitionsDefinition
    grid: dg.MultiPartitionsDefinition

    def weeks(self) -> list[str]:
        """All complete weeks up to now, oldest first."""
        return list(self.weekly.get_partition_keys())


def make_partitions(first_week: dt.date, classifiers: Sequence[str]) -> Partitions:
    """Weekly partitions from `first_week` (a Monday, UTC), and week by classifier."""
    weekly = dg.WeeklyPartitionsDefinition(start_date=first_week.isoformat(), day_offset=1, timezone="UTC")
    grid = dg.MultiPartitionsDefinition({WEEK: weekly, CLASSIFIER: dg.StaticPartitionsDefinition(sorted(classifiers))})
    return Partitions(weekly, grid)


def grid_key(week: str, classifier: str) -> dg.MultiPartitionKey:
    """The key of a classifier's week."""
    return dg.MultiPartitionKey({WEEK: week, CLASSIFIER: classifier})


def week_of(partition_key: str) -> str:
    """The week of a weekly or grid key."""
    if isinstance(partition_key, dg.MultiPartitionKey):
        return partition_key.keys_by_dimension[WEEK]
    return partition_key


def classifier_of(partition_key: str) -> str:
    """The classifier of a grid key."""
    assert isinstance(partition_key, dg.MultiPartitionKey), partition_key
    return partition_key.keys_by_dimension[CLASSIFIER]

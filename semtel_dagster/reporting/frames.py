"""Reading the stored tables for reports: which weeks there are, and a partition as a Polars frame.

Where a partition lies is said in `datasets.py`. Only the columns asked for are read, never conversation text.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from semtel_dagster.datasets import partition_folder


def stored_weeks(storage: str, asset: str) -> list[dt.date]:
    """The weeks that a table has partitions of, oldest first."""
    folders = Path(storage, asset).glob("week=*")
    return sorted(dt.date.fromisoformat(folder.name.removeprefix("week=")) for folder in folders if _parts(folder))


def stored_classifiers(storage: str, asset: str, week: dt.date) -> list[str]:
    """The classifiers that a week of a table has partitions of, by name."""
    folders = partition_folder(storage, asset, week.isoformat()).glob("classifier=*")
    return sorted(folder.name.removeprefix("classifier=") for folder in folders if _parts(folder))


def read(
    storage: str, asset: str, columns: Sequence[str], week: dt.date, classifier: str | None = None
) -> pl.LazyFrame | None:
    """Some columns of a partition; None where it has not been written."""
    folder = partition_folder(storage, asset, week.isoformat(), classifier)
    parts = _parts(folder)
    return pl.scan_parquet(parts, hive_partitioning=False).select(columns) if parts else None


def count(storage: str, asset: str, week: dt.date) -> int | None:
    """Rows of a weekly partition; None where it has not been written."""
    parts = _parts(partition_folder(storage, asset, week.isoformat()))
    return int(pl.scan_parquet(parts, hive_partitioning=False).select(pl.len()).collect().item()) if parts else None


def _parts(folder: Path) -> list[Path]:
    """Its Parquet files; for a week of a grid table, those of all classifiers."""
    return sorted([*folder.glob("*.parquet"), *folder.glob("classifier=*/*.parquet")])

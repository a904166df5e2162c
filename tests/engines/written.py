"""A small table with nulls, and tables as an engine writes them."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from semtel_dagster.engines.polars import PolarsEngine

POLARS = PolarsEngine()
SOME = pa.table(
    {
        "id": pa.array(["a", "b", "c", "d", None], pa.large_string()),
        "user": pa.array(["x", "x", None, "y", "y"], pa.large_string()),
        "weight": pa.array([1.0, 2.0, None, 4.0, 8.0]),
        "n": pa.array([1, None, 3, 4, 5], pa.int64()),
    }
)


def written(engine, frame, folder):
    folder.mkdir(parents=True)
    engine.write(frame, str(folder))
    return folder


def rows_of(engine, frame, folder):
    return pl.read_parquet(written(engine, frame, folder) / "*.parquet", hive_partitioning=False)

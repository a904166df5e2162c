"""Engines of every kind for tests and benchmarks: Polars, and Spark on each kind of session, started and ended here.

How Spark's own processes are started belongs in `cluster`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from semtel_dagster.engines.base import Engine
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.engines.session import SparkSessions
from semtel_dagster.engines.spark import SparkEngine
from tests.engines.cluster import connect_server, environment, standalone

SMALL = {"spark.sql.shuffle.partitions": 4, "spark.driver.memory": "1g", "spark.executor.memory": "512m"}


@contextmanager
def engine_of(kind: str, folder: Path) -> Iterator[Engine]:
    """An engine while the block runs; one Spark session at a time.

    Args:
        kind: "polars", "local" (Spark in this process), "cluster" (two workers) or "connect" (a remote session).
        folder: For what Spark's processes write.
    """
    if kind == "polars":
        yield PolarsEngine()
        return
    with variables(environment()), _sessions(kind, folder) as sessions:
        yield SparkEngine(sessions)


@contextmanager
def _sessions(kind: str, folder: Path) -> Iterator[SparkSessions]:
    if kind == "local":
        place = nullcontext({"master": "local[2]", "spark.local.dir": str(folder)} | SMALL)
    elif kind == "cluster":
        place = _settings(_master(folder), "master", SMALL)
    else:
        place = _settings(connect_server(folder), "remote", {})
    with place as settings:
        sessions = SparkSessions(settings)
        yield sessions
        if "_resource" in vars(sessions):  # else nobody used it, and asking would start it
            sessions().stop()


@contextmanager
def _master(folder):
    with standalone(folder) as cluster:
        yield cluster.master


@contextmanager
def _settings(address, key, more):
    with address as url:
        yield {key: url} | more


@contextmanager
def variables(values: dict[str, str]) -> Iterator[None]:
    """Environment variables for a while; what pyspark sets meanwhile goes too."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)

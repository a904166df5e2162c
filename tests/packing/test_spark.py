"""Packs on Spark: formed inside each task, every row answered once; with Polars, labels of single calls agree."""

import os
from contextlib import contextmanager

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.classify import ask as ask_frame
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.engines.session import SparkSessions
from semtel_dagster.engines.spark import SparkEngine
from semtel_dagster.loopback.process import serve
from semtel_dagster.packing.asking import Company
from semtel_dagster.reducers import BatchSettings, PackSettings
from semtel_dagster.requests.classify import ClassifyBatches
from tests.engines.cluster import environment
from tests.packing.answers import ALL, labels, right, script
from tests.packing.builders import PROMPTS, total
from tests.requests.builders import batches, endpoint, plan

pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.timeout(300)]


@contextmanager
def closing_session(sessions):
    """Workers find this checkout's Python, and the session ends with the test.

    Another test's Connect session may still be open: its variables would turn this one into a remote session, too.
    """
    before = dict(os.environ)
    for name in [name for name in before if name.startswith("SPARK_")]:
        del os.environ[name]
    os.environ.update(environment())
    try:
        yield
        sessions().stop()
    finally:
        os.environ.clear()
        os.environ.update(before)


def classified(folder, engine, server, journal, target="colour", **pack):
    name = f"{journal}-{target}"
    (folder / name).mkdir()
    company = Company(dict(PROMPTS), PackSettings(**pack))
    classify = ClassifyBatches(PROMPTS[target], plan(folder / f"{journal}-journal", endpoint(server.base_url)))
    answers = ask_frame(engine.scan([str(folder / "rows")]), classify, engine, BatchSettings(), "2026-10-05", company)
    engine.write(answers, str(folder / name))
    return pl.read_parquet(f"{folder}/{name}/*.parquet").to_arrow()


def test_tasks_form_packs_of_their_own_and_lose_no_row(tmp_path):
    (tmp_path / "rows").mkdir()
    for number, batch in enumerate(batches(ALL, 600)):
        pq.write_table(pa.Table.from_batches([batch]), tmp_path / "rows" / f"part-{number}.parquet")
    pytest.importorskip("pyspark")
    sessions = SparkSessions({"master": "local[2]", "spark.ui.enabled": "false"})
    with closing_session(sessions), serve(script(packs={"cut": 0.1, "missing": 0.2})) as server:
        first = classified(tmp_path, SparkEngine(sessions), server, "spark", conversations=8)
        assert labels(first) == right(ALL)
        # What was not believed of a companion's answers is asked in this run, and counts in the companion's own.
        beside = classified(tmp_path, SparkEngine(sessions), server, "spark", "shape", conversations=8)
        assert labels(beside, "shape") == right(ALL, "shape")
        assert total(first, "attempts") + total(beside, "attempts") == server.stats()["calls"]
        # The other engine packs otherwise, and labels all the same.
        second = classified(tmp_path, PolarsEngine(), server, "polars", conversations=8)
        assert labels(second) == labels(first)

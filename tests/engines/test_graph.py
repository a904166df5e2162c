"""The whole graph through Dagster: the engine is one word in the settings."""

import pytest
from polars.testing import assert_frame_equal

from tests.pipeline import conversation, project, run_weeks, table

TABLES = {
    "conversations": "conversation_id",
    "truncated_conversations": "conversation_id",
    "duplicate_groups": "conversation_id",
    "responses": "content_hash",
    "labels": "conversation_id",
    "label_shares": "label",
}


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local"], indirect=True)
def test_the_graph_runs_on_spark_by_a_switch_and_its_tables_are_those_of_polars(engine, tmp_path):
    asked = [conversation(n, f"Please explain case {n // 2}", "Gladly.", user=f"u{n}") for n in range(12)]
    stored = {}
    for name in ("polars", engine.name):
        (tmp_path / name).mkdir()
        stored[name] = project(tmp_path / name, asked, engine=name, spark={"master": "local[2]"})
        assert [outcome.error for outcome in run_weeks(stored[name])] == [None] * 3
    for asset, key in TABLES.items():
        expected, found = (table(stored[name], asset).sort(key) for name in ("polars", "spark"))
        timed = ["latency_s"] if asset == "responses" else []
        assert_frame_equal(found.drop(timed), expected.drop(timed), rel_tol=1e-9, abs_tol=0)

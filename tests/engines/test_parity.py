"""Every table of every stage is the same from Spark as from Polars, on real conversations."""

from __future__ import annotations

import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from semtel_dagster.embedding import near_duplicates
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.stages import embed_dedupe, spread_duplicates
from tests.engines.stage_chain import WEEK, Chain
from tests.shared_data import shared_file

STAGES = {
    "conversations": ["conversation_id"],
    "sample": ["conversation_id"],
    "truncate": ["conversation_id"],
    "embed": None,
    "deduplicate": None,
    "classify": None,
    "parse": None,
    "aggregate": None,
}
SPARKS = ["local", *(pytest.param(each, marks=pytest.mark.slow) for each in ("cluster", "connect"))]
pytestmark = [pytest.mark.shared, pytest.mark.spark]


@pytest.fixture(scope="module")
def by_polars(tmp_path_factory):
    """All tables as Polars makes them, of 150 conversations, some of them copied, changed a little, or broken.

    They stand in three files; some ids stand in two of them, and twice in one.
    """
    folder = tmp_path_factory.mktemp("parity")
    week = pl.scan_parquet(shared_file("sharegpt/conversations.parquet")).filter(
        pl.col("started_at").dt.truncate("1w").dt.date() == WEEK
    )
    rows = week.sort("conversation_id").head(150).collect()
    copies = rows.head(20).with_columns(conversation_id="copy-" + pl.col("conversation_id"))
    alike = rows.head(20).with_columns(conversation_id="like-" + pl.col("conversation_id"), messages=and_thanks(rows))
    broken = rows.slice(20, 3).with_columns(messages=pl.lit(None, rows.schema["messages"]))
    repeated = rows.slice(10, 20).with_columns(user_id=pl.lit("later"))
    (folder / "source").mkdir()
    for number, part in enumerate([broken, pl.concat([rows, alike]), pl.concat([repeated, repeated, copies])]):
        part.write_parquet(folder / "source" / f"{number}.parquet")
    chain = Chain(PolarsEngine(), folder / "source", folder / "tables")
    for stage in STAGES:
        write(chain, stage, chain)
    return chain


def and_thanks(rows):
    """The messages of the first twenty rows, thanks said first."""
    messages = rows["messages"].head(20).to_list()
    thanks = {"role": "user", "content": "Thanks."}
    return pl.Series([[thanks, *turns] for turns in messages], dtype=rows.schema["messages"])


def write(chain, stage, into):
    """Writes a stage's tables into another chain's storage; their names."""
    frames = chain.tables(stage)
    for table, frame in frames.items():
        into.folder(table).mkdir(parents=True)
        chain.engine.write(frame, str(into.folder(table)))
    return list(frames)


def stored(chain, table):
    return pl.read_parquet(chain.folder(table) / "*.parquet", hive_partitioning=False)


def arrow_types(chain, table):
    return {field.name: field.type for field in pq.read_schema(chain.folder(table) / "part-00000.parquet")}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("engine", SPARKS, indirect=True)
def test_a_stage_s_tables_are_equal(engine, stage, by_polars, tmp_path):
    into = Chain(engine, by_polars.source, tmp_path)
    for table in write(Chain(engine, by_polars.source, by_polars.storage), stage, into):
        expected, found = stored(by_polars, table), stored(into, table)
        assert arrow_types(into, table) == arrow_types(by_polars, table)
        if keys := STAGES[stage]:  # these tables promise no order
            keys = [*keys, *({"source", "position"} & set(expected.columns))]
            expected, found = expected.sort(keys), found.sort(keys)
        assert_frame_equal(found, expected, rel_tol=1e-9, abs_tol=0)


@pytest.mark.parametrize("many", [near_duplicates.MANY_EDGES, -1])
@pytest.mark.parametrize("engine", SPARKS, indirect=True)
def test_near_duplicates_are_equal_without_bringing_the_vectors_together(engine, many, by_polars, monkeypatch):
    """As above twenty thousand rows: by cells, in tasks; and as with very many edges: in two parts."""
    for module, name, value in (
        (near_duplicates, "EXACT_BELOW", 1),
        (embed_dedupe, "EXACT_BELOW", 1),
        (spread_duplicates, "MANY_EDGES", many),
    ):
        monkeypatch.setattr(module, name, value)
    expected, found = (
        pl.DataFrame(embed_dedupe._near_duplicates(chain.read("conversation_embeddings"), 0.8, chain.engine))
        for chain in (by_polars, Chain(engine, by_polars.source, by_polars.storage))
    )
    assert found.height >= 10
    assert_frame_equal(found.sort("content_hash"), expected.sort("content_hash"))


def test_the_tables_compared_are_not_trivial(by_polars):
    """What the comparison is worth: every table has rows, and every kind of row."""
    kinds = stored(by_polars, "duplicate_groups")["kind"].unique().to_list()
    statuses = stored(by_polars, "labels")["label_status"].unique().to_list()
    assert sorted(kinds) == ["exact", "near", "representative"]
    assert {"exact", "invalid", "unanswered"} <= set(statuses)
    assert 0 < stored(by_polars, "sampled_conversations").height < stored(by_polars, "conversations").height
    assert stored(by_polars, "truncated_conversations")["truncation"].n_unique() > 1
    rejected = stored(by_polars, "rejected_conversations")
    assert rejected.height == 43
    assert rejected.filter(reason="duplicate_id").height == 40
    assert stored(by_polars, "label_shares")["suppressed"].any()

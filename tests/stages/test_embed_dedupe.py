"""The embed-dedupe stage: one embedding per transcript, every conversation in exactly one group."""

import random

import narwhals as nw
import polars as pl
import pyarrow as pa
import pytest

from semtel_dagster.embedding.embedded import EmbeddedProvider
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.settings import DedupeSettings
from semtel_dagster.stages.embed_dedupe import EmbedBatches, content, deduplicate, embed
from semtel_dagster.tables import (
    DISTINCT_CONVERSATIONS,
    DUPLICATE_GROUPS,
    TRUNCATED_CONVERSATIONS,
    conversation_embeddings,
)
from semtel_dagster.transcript import Turn, content_hash, render

ENGINE = PolarsEngine()
OPTIONS = DedupeSettings()
RENT = "Please write a polite letter to my landlord about the heating, which has been out for nine days already."
SOUP = "What can I cook from leeks, two potatoes and half a cup of cream that is left from yesterday's dinner?"


def row(conversation_id, message, weight=1.0):
    text = render([Turn("user", message), Turn("assistant", "Gladly. Here is a first version for you to look at.")])
    given = {"conversation_id": conversation_id, "user_id": f"user of {conversation_id}", "language": "en"}
    given |= {
        "stratum": "rest",
        "sampling_weight": weight,
        "text": text,
        "n_tokens": 40,
        "content_hash": content_hash(text),
    }
    return {name: given.get(name) for name in TRUNCATED_CONVERSATIONS.names}


def frame(rows):
    return nw.from_native(pl.DataFrame(pa.Table.from_pylist(rows, schema=TRUNCATED_CONVERSATIONS)).lazy())


def collected(lazy):
    return nw.to_native(lazy).collect()


def run(rows, options=OPTIONS):
    truncated = frame(rows)
    result = deduplicate(truncated, embed(truncated, EmbeddedProvider, ENGINE), options, ENGINE)
    return collected(result.distinct), collected(result.groups)


WEEK = [
    row("c5", RENT, 2.0),
    row("c3", RENT, 1.5),
    row("c1", RENT.replace("nine", "ten"), 4.0),
    row("c4", SOUP),
    row("c2", "hello", 3.0),
]


def test_every_conversation_is_in_one_group_and_weights_add_up():
    distinct, groups = run(WEEK)
    assert groups["conversation_id"].to_list() == ["c1", "c2", "c3", "c4", "c5"]
    assert distinct["group_size"].sum() == len(WEEK)
    assert distinct["group_weight"].sum() == pytest.approx(sum(each["sampling_weight"] for each in WEEK))
    assert distinct["group_size"].to_list() == [
        groups.filter(pl.col("content_hash") == each).height for each in distinct["content_hash"]
    ]


def test_exact_and_near_duplicates_share_a_representative():
    distinct, groups = run(WEEK)
    by_id = {each["conversation_id"]: each for each in groups.to_dicts()}
    assert distinct.height == 3
    assert len({by_id[each]["representative_id"] for each in ("c1", "c3", "c5")}) == 1
    kinds = sorted(by_id[each]["kind"] for each in ("c1", "c3", "c5"))
    assert kinds in (["exact", "near", "representative"], ["near", "near", "representative"])
    assert by_id["c4"]["kind"] == by_id["c2"]["kind"] == "representative"
    near = groups.filter(pl.col("kind") == "near")["similarity"]
    assert near.min() >= OPTIONS.threshold
    assert set(groups.filter(pl.col("kind") != "near")["similarity"]) == {1.0}


def test_the_representative_is_the_smallest_hash_and_its_smallest_id():
    _, groups = run(WEEK)
    smallest = min(
        (each for each in WEEK if each["conversation_id"] in ("c1", "c3", "c5")),
        key=lambda each: (each["content_hash"], each["conversation_id"]),
    )
    of_rent = groups.filter(pl.col("conversation_id") == "c5")
    assert of_rent["representative_id"].item() == smallest["conversation_id"]
    assert of_rent["content_hash"].item() == smallest["content_hash"]


def test_without_embeddings_only_exact_duplicates_are_grouped():
    for options, embeddings in ((OPTIONS, None), (DedupeSettings(embedding="none"), embed(frame(WEEK), None, ENGINE))):
        result = deduplicate(frame(WEEK), embeddings, options, ENGINE)
        assert collected(result.distinct).height == 4
        assert set(collected(result.groups)["kind"]) == {"representative", "exact"}


def test_a_transcript_without_an_embedding_stands_for_itself():
    truncated = frame(WEEK)
    some = embed(frame([each for each in WEEK if each["conversation_id"] != "c1"]), EmbeddedProvider, ENGINE)
    groups = collected(deduplicate(truncated, some, OPTIONS, ENGINE).groups)
    assert groups.filter(pl.col("conversation_id") == "c1")["kind"].item() == "representative"


def test_embeddings_of_other_weeks_play_no_part():
    others = [row("other", RENT.replace("nine", "twelve"))]
    embeddings = embed(frame([*WEEK, *others]), EmbeddedProvider, ENGINE)
    alone = deduplicate(frame(WEEK), embed(frame(WEEK), EmbeddedProvider, ENGINE), OPTIONS, ENGINE)
    assert collected(deduplicate(frame(WEEK), embeddings, OPTIONS, ENGINE).groups).equals(collected(alone.groups))


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_changes_nothing(seed):
    shuffled = random.Random(seed).sample(WEEK, len(WEEK))
    for expected, found in zip(run(WEEK), run(shuffled), strict=True):
        assert found.equals(expected)


def test_an_empty_week_gives_empty_tables():
    distinct, groups = run([])
    assert distinct.columns == DISTINCT_CONVERSATIONS.names
    assert groups.columns == DUPLICATE_GROUPS.names
    assert distinct.height == groups.height == 0


def test_tables_have_the_schemas_of_the_contract():
    distinct, groups = run(WEEK)
    for table, schema in ((distinct, DISTINCT_CONVERSATIONS), (groups, DUPLICATE_GROUPS)):
        assert table.to_arrow(compat_level=pl.CompatLevel.oldest()).schema == schema
    embeddings = collected(embed(frame(WEEK), EmbeddedProvider, ENGINE))
    dimensions = EmbeddedProvider().dimensions
    assert embeddings.schema == pl.DataFrame(conversation_embeddings(dimensions).empty_table()).schema


def test_a_transcript_is_embedded_once_and_rows_are_sorted_by_hash():
    embeddings = collected(embed(frame(WEEK), EmbeddedProvider, ENGINE))
    assert embeddings["content_hash"].to_list() == sorted({each["content_hash"] for each in WEEK})
    assert set(embeddings["model"]) == {EmbeddedProvider().name}


def test_the_row_function_does_not_depend_on_batches():
    batch = pa.RecordBatch.from_pylist(
        [{"content_hash": each["content_hash"], "text": each["text"]} for each in WEEK],
        schema=pa.schema([("content_hash", pa.large_string()), ("text", pa.large_string())]),
    )
    function = EmbedBatches(EmbeddedProvider)
    whole = pa.Table.from_batches(function(iter([batch])))
    parts = pa.Table.from_batches(function(iter([batch.slice(0, 2), batch.slice(2, 0), batch.slice(2)])))
    assert parts.combine_chunks().equals(whole.combine_chunks())


def test_only_what_was_said_is_embedded():
    text = render([Turn("user", "one\ntwo"), Turn("assistant", "three")])
    assert content(text.replace("> two", "> two\n[... 12 tokens cut ...]")) == "one\ntwo\nthree"
    assert content("not a transcript") == "not a transcript"

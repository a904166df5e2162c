"""Schemas at the border between engines: nothing that matters is lost on the way to Spark and back."""

import pyarrow as pa
import pytest

from semtel_dagster import tables
from semtel_dagster.engines.arrow_types import cast_batch, from_spark, plain_schema, plain_type, to_spark, wire_schema
from tests.engines.row_functions import EVERYTHING, everything

TABLES = [
    tables.CONVERSATIONS,
    tables.SAMPLED_CONVERSATIONS,
    tables.TRUNCATED_CONVERSATIONS,
    tables.conversation_embeddings(256),
    tables.DUPLICATE_GROUPS,
    tables.RESPONSES,
    tables.LABELS,
    tables.LABEL_SHARES,
    EVERYTHING,
]


@pytest.mark.parametrize("schema", TABLES)
def test_a_table_s_schema_survives_spark(schema):
    pytest.importorskip("pyspark")
    plain = plain_schema(schema)
    assert plain.types == schema.types
    assert from_spark(to_spark(plain)).equals(plain)


@pytest.mark.parametrize(
    ("encoded", "plain"),
    [
        (pa.string(), pa.large_string()),
        (pa.string_view(), pa.large_string()),
        (pa.binary(), pa.large_binary()),
        (pa.list_(pa.string()), pa.large_list(pa.large_string())),
        (pa.list_(pa.float32(), 2), pa.list_(pa.float32(), 2)),
        (pa.timestamp("ns", "Europe/Paris"), pa.timestamp("us", "UTC")),
        (pa.timestamp("ms"), pa.timestamp("us")),
        (pa.uint32(), pa.int64()),
        (pa.date32(), pa.date32()),
    ],
)
def test_every_encoding_of_a_type_is_seen_as_one(encoded, plain):
    assert plain_type(encoded) == plain


@pytest.mark.parametrize("kind", [pa.uint64(), pa.duration("us")])
def test_a_type_that_spark_would_change_is_refused(kind):
    with pytest.raises(TypeError, match="cast it to int64"):
        plain_type(kind)


def test_values_survive_the_wire():
    batch = cast_batch(everything(), plain_schema(EVERYTHING))
    there = cast_batch(batch, wire_schema(batch.schema))
    assert there.schema.field("embedding").type == pa.list_(pa.field("element", pa.float32()))
    assert cast_batch(there, batch.schema).equals(batch)


def test_a_slice_with_null_lists_of_fixed_size_survives_the_wire():
    batch = cast_batch(everything(), plain_schema(EVERYTHING)).slice(1, 2)
    assert cast_batch(cast_batch(batch, wire_schema(batch.schema)), batch.schema).equals(batch)

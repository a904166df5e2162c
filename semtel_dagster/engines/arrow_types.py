"""The Arrow types at the border between the engines and row functions.

Three forms of a schema meet there. *Plain*: what a row function sees on either engine, and what the tables hold
(`large_string`, `large_list`, UTC microseconds). *Wire*: what Spark's workers exchange with the JVM. And Spark's own
`StructType`, which knows no fixed-size lists: their size travels in the column's metadata. Nothing here runs a frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.types as kinds

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

FIXED_SIZE = "semtel.fixed_size"
_SIGNED = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64()}


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type that a row function sees, whichever of its Arrow encodings a column came in.

    Raises:
        TypeError: Spark has no such type (uint64, duration).
    """
    if kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind):
        return pa.large_string()
    if kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_binary_view(kind):
        return pa.large_binary()
    if kinds.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC" if kind.tz else None)
    if kinds.is_fixed_size_list(kind):
        return pa.list_(pa.field("item", plain_type(kind.value_type)), kind.list_size)
    if kinds.is_list(kind) or kinds.is_large_list(kind):
        return pa.large_list(pa.field("item", plain_type(kind.value_type)))
    if kinds.is_struct(kind):
        return pa.struct([pa.field(field.name, plain_type(field.type)) for field in kind])
    if kinds.is_uint64(kind) or kinds.is_duration(kind):
        raise TypeError(f"a column of type {kind} cannot cross engines; cast it to int64")
    return _SIGNED.get(kind, kind)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """A schema in plain types, every field nullable, as Polars gives it to a row function."""
    return pa.schema([pa.field(field.name, plain_type(field.type)) for field in schema])


def wire_type(kind: pa.DataType) -> pa.DataType:
    """The type in which a plain column is given to the JVM: it takes large strings, but no other kind of list."""
    if kinds.is_fixed_size_list(kind) or kinds.is_large_list(kind):
        return pa.list_(pa.field("element", wire_type(kind.value_type)))
    if kinds.is_struct(kind):
        return pa.struct([pa.field(field.name, wire_type(field.type)) for field in kind])
    return kind


def wire_schema(schema: pa.Schema) -> pa.Schema:
    """A plain schema in wire types."""
    return pa.schema([pa.field(field.name, wire_type(field.type)) for field in schema])


def cast_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch with the columns of `schema`, by position, in its types; text is not copied."""
    arrays = [
        column if column.type == kind else column.cast(kind)
        for column, kind in zip(batch.columns, schema.types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def cast_batches(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Each batch, cast."""
    for batch in batches:
        yield cast_batch(batch, schema)


def to_spark(schema: pa.Schema) -> StructType:
    """A plain schema as Spark's, sizes of fixed-size lists in the columns' metadata."""
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import StructField, StructType

    fields = from_arrow_schema(wire_schema(schema), prefer_timestamp_ntz=True).fields
    return StructType(
        [
            StructField(field.name, field.dataType, nullable=True, metadata=_metadata(arrow.type))
            for field, arrow in zip(fields, schema, strict=True)
        ]
    )


def from_spark(schema: StructType) -> pa.Schema:
    """Spark's schema in plain types."""
    from pyspark.sql.pandas.types import to_arrow_schema

    arrow = plain_schema(to_arrow_schema(schema, timezone="UTC"))
    return pa.schema(
        [
            pa.field(field.name, _sized(field.type, spark.metadata))
            for field, spark in zip(arrow, schema.fields, strict=True)
        ]
    )


def _metadata(kind: pa.DataType) -> dict[str, Any]:
    return {FIXED_SIZE: kind.list_size} if kinds.is_fixed_size_list(kind) else {}


def _sized(kind: pa.DataType, metadata: dict[str, Any]) -> pa.DataType:
    size = metadata.get(FIXED_SIZE)
    return pa.list_(pa.field("item", kind.value_type), size) if size and kinds.is_large_list(kind) else kind

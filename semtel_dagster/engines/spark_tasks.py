"""What runs inside Spark's tasks: picklable wrappers around row functions, and who writes which part.

Belongs here: whatever an executor imports. It needs no session and knows no frame; `spark` plans, this does.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

import pyarrow as pa

from semtel_dagster.engines.arrow_types import cast_batch, cast_batches, wire_schema
from semtel_dagster.engines.base import ArrowFunction, Generator
from semtel_dagster.engines.parts import write_part

PARTS = pa.schema([("partition", pa.int32()), ("file", pa.large_string())])


@dataclass(frozen=True)
class RunFunction:
    """Runs a row function on a task's batches.

    Attributes:
        function: Sees and gives plain types, as on Polars.
        seen: The plain schema of the input.
        given: The schema that the function promises.
        run: Differs from frame to frame. Spark recognizes a kept result by its plan, in which a folder is only a
            name: without it, a second run over replaced files would be given the first run's rows.
    """

    function: ArrowFunction
    seen: pa.Schema
    given: pa.Schema
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Wire batches to wire batches."""
        return _to_wire(self.function(cast_batches(batches, self.seen)), self.given)


@dataclass(frozen=True)
class RunGenerators:
    """Makes rows from nothing: a task's input tells which generators it runs.

    Attributes:
        functions: The generators.
        given: The schema that they promise.
        run: As in `RunFunction`.
    """

    functions: tuple[Generator, ...]
    given: pa.Schema
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches whose first column holds positions in `functions` to wire batches."""
        for batch in batches:
            for position in batch.column(0).to_pylist():
                yield from _to_wire(self.functions[position](), self.given)


@dataclass(frozen=True)
class WriteParts:
    """Writes a task's rows as one Parquet file, the same file that the Polars engine would write.

    Spark's own writer loses what Parquet alone cannot say (sizes of fixed-size lists), and leaves marker and
    checksum files. A task that is retried, or run twice, writes another file: only the file that it reports counts.

    Attributes:
        folder: Where to; every executor must see it.
        schema: The plain schema of the rows.
    """

    folder: str
    schema: pa.Schema

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Wire batches to one row of schema `PARTS`; to none if there are no rows."""
        from pyspark import TaskContext

        filled = (batch for batch in batches if batch.num_rows)
        first = next(filled, None)
        if first is None:
            return
        context = TaskContext.get()
        partition = context.partitionId() if context else 0
        file = f"{partition:05}-{uuid.uuid4().hex}.parquet"
        write_part(cast_batches(chain([first], filled), self.schema), self.schema, f"{self.folder}/{file}")
        yield pa.record_batch([pa.array([partition], pa.int32()), pa.array([file], pa.large_string())], schema=PARTS)


def _to_wire(batches: Iterator[pa.RecordBatch], given: pa.Schema) -> Iterator[pa.RecordBatch]:
    wire = wire_schema(given)
    for batch in batches:
        if not batch.schema.equals(given):
            raise TypeError(f"a row function promised {given.names} and gave {_difference(batch.schema, given)}")
        yield cast_batch(batch, wire)


def _difference(found: pa.Schema, given: pa.Schema) -> str:
    if found.names != given.names:
        return str(found.names)
    return ", ".join(str(field) for field, wanted in zip(found, given, strict=True) if not field.equals(wanted))

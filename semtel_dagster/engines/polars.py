"""The Polars engine: one machine, streaming.

Row functions are registered as lazy sources, so that a stage's result stays lazy until it is written and only
some batches are in memory at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl
import pyarrow as pa
from polars.io.plugins import register_io_source

from semtel_dagster.engines.base import ArrowFunction, Frame, Generator
from semtel_dagster.engines.external_sort import sorted_by_hash
from semtel_dagster.engines.parts import write_part

BATCH_ROWS = 1024  # 6 MB of conversations; some ten batches are under way at a time
NARROW_BATCH_ROWS = 16 * BATCH_ROWS  # of tables whose rows are some names and numbers
WIDE_COLUMNS = frozenset({"messages", "text", "raw_text", "extra", "embedding"})
GROUPS_AHEAD = 2
PARTITION_COLUMNS = {"week": pl.Date, "classifier": pl.String}


class PolarsEngine:
    """Runs stages on Polars lazy frames in this process."""

    name = "polars"
    distributed = False
    tasks = 1

    def map_batches(self, frame: Frame, function: ArrowFunction, schema: pa.Schema) -> Frame:
        """Applies a function to a frame's batches, lazily; the result has exactly `schema`."""
        native: pl.LazyFrame = nw.to_native(frame)
        return self.from_batches(lambda: function(record_batches(native)), schema)

    def from_batches(self, function: Generator, schema: pa.Schema) -> Frame:
        """A frame whose rows a generator makes, e.g. a reader of source files."""
        polars_schema = _polars_schema(schema)

        def read(
            with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch_size: int | None
        ) -> Iterator[pl.DataFrame]:
            left = n_rows
            for batch in function():
                rows = pl.DataFrame(pa.Table.from_batches([batch], schema=schema), schema=polars_schema)
                if with_columns is not None:
                    rows = rows.select(with_columns)
                if predicate is not None:
                    rows = rows.filter(predicate)
                if left is not None:
                    rows = rows.head(left)
                    left -= rows.height
                yield rows
                if left == 0:
                    return

        return nw.from_native(register_io_source(read, schema=polars_schema))

    def from_parts(self, functions: Sequence[Generator], schema: pa.Schema) -> Frame:
        """A frame whose rows generators make, one after the other."""
        return self.from_batches(lambda: chain.from_iterable(function() for function in functions), schema)

    def spread(self, frame: Frame, key: str, *, order: Sequence[str] = ()) -> Frame:
        """The frame, sorted by key and `order` if an order is asked for: there is one task."""
        return frame.sort(key, *order) if order else frame

    def match(self, frame: Frame, few: Frame, on: Sequence[str]) -> Frame:
        """The rows of a large frame that have a partner in a small one, with its columns; the small one is held."""
        rows: pl.LazyFrame = nw.to_native(frame)
        partners: pl.LazyFrame = nw.to_native(few)
        # Left to itself Polars may hold the large side. And lazily it would read a table that both sides come from
        # once, and keep its texts until the small side is done.
        return nw.from_native(rows.join(partners.collect().lazy(), on=list(on), how="inner", maintain_order="left"))

    def sort_by_hash(self, frame: Frame, key: str) -> Frame:
        """The same rows in ascending order of a column of hexadecimal hashes, without holding them in memory."""
        native: pl.LazyFrame = nw.to_native(frame)
        schema = _arrow_schema(native)  # Polars' own sort holds all rows
        return self.from_batches(lambda: sorted_by_hash(record_batches(native), schema, key), schema)

    def from_arrow(self, table: pa.Table) -> Frame:
        """A frame over a small table in memory."""
        return nw.from_native(pl.DataFrame(table).lazy())

    def scan(self, folders: list[str]) -> Frame:
        """A frame over dataset folders of Parquet parts, whichever engine wrote them; with partition columns."""
        # Else Polars fetches so many ahead of a slow row function that conversations take 300 MB more.
        os.environ.setdefault("POLARS_ROW_GROUP_PREFETCH_SIZE", str(GROUPS_AHEAD))
        # Listed here, since Polars would take brackets in a folder's name for a pattern.
        parts = [part for folder in folders for part in sorted(Path(folder).glob("*.parquet"))]
        return nw.from_native(pl.scan_parquet(parts, hive_partitioning=True, hive_schema=PARTITION_COLUMNS, glob=False))

    def write(self, frame: Frame, folder: str) -> None:
        """Writes a frame as zstd Parquet parts into an empty local folder, without holding it in memory."""
        native: pl.LazyFrame = nw.to_native(frame)
        stored = native.drop(*PARTITION_COLUMNS, strict=False)
        # Not sink_parquet: it counts a row group in rows, and holds several times as many groups.
        schema = _arrow_schema(stored)
        rows = NARROW_BATCH_ROWS if WIDE_COLUMNS.isdisjoint(schema.names) else BATCH_ROWS
        write_part(record_batches(stored, rows), schema, f"{folder}/part-00000.parquet")


def record_batches(frame: pl.LazyFrame, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """A lazy frame's rows as Arrow record batches, in order, streamed."""
    for batch in frame.collect_batches(chunk_size=rows, maintain_order=True):
        yield from _to_arrow(batch).to_batches()


def _to_arrow(rows: pl.DataFrame) -> pa.Table:
    return rows.to_arrow(compat_level=pl.CompatLevel.oldest())


def _arrow_schema(frame: pl.LazyFrame) -> pa.Schema:
    return _to_arrow(pl.DataFrame(schema=frame.collect_schema())).schema


def _polars_schema(schema: pa.Schema) -> dict[str, Any]:
    return dict(pl.DataFrame(schema.empty_table()).schema)

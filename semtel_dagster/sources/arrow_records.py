"""Records of Parquet files and Delta tables, a few hundred rows at a time, only of the weeks asked for.

Row groups and rows whose time column lies outside the interval are skipped before anything is turned into Python
values. What a record's fields mean belongs in `formats` and `validate`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from semtel_dagster.errors import DependencyError
from semtel_dagster.sources.rules import Rejection
from semtel_dagster.sources.text_records import Record
from semtel_dagster.sources.times import EARLIEST, LATEST

BATCH_ROWS = 512

Interval = tuple[dt.datetime, dt.datetime]  # from, until (excluded), in UTC


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file, still as columns; times in microseconds.

    Attributes:
        positions: Each row's number in the file, from 1; int64.
        rows: The file's own columns.
    """

    positions: pa.Array
    rows: pa.RecordBatch

    def records(self) -> Iterator[Record]:
        """The rows as Python values."""
        yield from zip(self.positions.to_pylist(), self.rows.to_pylist(), strict=True)


def parquet_rows(
    stream: IO[bytes], time_columns: tuple[str, ...], interval: Interval, only_times: bool = False
) -> Iterator[Record]:
    """The rows of `parquet_chunks`, one by one; position is the row."""
    chunks = parquet_chunks(stream, time_columns, interval, only_times)
    return chain.from_iterable(chunk.records() for chunk in chunks)


def parquet_chunks(
    stream: IO[bytes],
    time_columns: tuple[str, ...],
    interval: Interval,
    only_times: bool = False,
    groups: tuple[int, int] | None = None,
) -> Iterator[Chunk]:
    """The rows of a Parquet file whose time is in the interval, or is none.

    Args:
        stream: The file, seekable.
        time_columns: The columns that may hold the time; the first one present counts.
        interval: Rows of other times are left out, if the column holds timestamps.
        only_times: Read no other column.
        groups: Read only these row groups, from and until (excluded).

    Raises:
        Rejection: The file is damaged, or not written to its end.
    """
    try:
        file = pq.ParquetFile(stream, pre_buffer=False)  # a buffered row group would be held whole
        column = _first_present(time_columns, file.schema_arrow)
        columns = [column] if only_times and column else None
        first = 0
        wanted = range(*groups) if groups else range(file.metadata.num_row_groups)
        for group in range(wanted.stop):
            if group in wanted and not _is_outside(file.metadata.row_group(group), column, interval):
                found = file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns)
                yield from _numbered(found, first, column, interval)
            first += file.metadata.row_group(group).num_rows
    except (pa.ArrowException, OSError) as error:
        raise Rejection("unreadable_file", f"Parquet: {type(error).__name__}") from None


def delta_chunks(
    url: str, time_columns: tuple[str, ...], interval: Interval, only_times: bool = False
) -> Iterator[Chunk]:
    """The rows of a Delta table's newest version; the same arguments and errors as `parquet_chunks`.

    Raises:
        DependencyError: The `deltalake` package is missing.
        Rejection: The table's log is damaged.
    """
    dataset = open_delta(url)
    column = _first_present(time_columns, dataset.schema)
    columns = [column] if only_times and column else None
    found = dataset.to_batches(columns=columns, batch_size=BATCH_ROWS, batch_readahead=1, fragment_readahead=1)
    yield from _numbered(found, 0, column, interval)


def _first_present(names: tuple[str, ...], schema: pa.Schema) -> str | None:
    return next((name for name in names if name in schema.names), None)


def open_delta(url: str) -> Any:
    """A Delta table as an Arrow dataset.

    Raises:
        DependencyError: The `deltalake` package is missing.
        Rejection: The table's log is damaged.
    """
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    except ImportError:
        raise DependencyError("reading a Delta table needs the deltalake package: pip install deltalake") from None
    try:
        return DeltaTable(url).to_pyarrow_dataset()
    except DeltaError as error:
        raise Rejection("unreadable_file", f"Delta: {type(error).__name__}") from None


def _numbered(batches: Iterator[pa.RecordBatch], first: int, column: str | None, interval: Interval) -> Iterator[Chunk]:
    for batch in batches:
        positions = pa.array(range(first + 1, first + 1 + batch.num_rows), pa.int64())
        first += batch.num_rows
        mask = None if column is None else _mask(batch.column(column), interval)
        wanted = batch if mask is None else batch.filter(mask)
        kept = positions if mask is None else positions.filter(mask)
        if wanted.num_rows:
            yield Chunk(kept, _in_microseconds(wanted))


def _mask(times: pa.Array, interval: Interval) -> pa.Array | None:
    """Which rows to read: those of the interval and, to be quarantined, those without a usable time."""
    if not pa.types.is_timestamp(times.type):
        return None
    since, until, earliest, latest = (_scalar(moment, times.type) for moment in (*interval, EARLIEST, LATEST))
    inside = pc.and_(pc.greater_equal(times, since), pc.less(times, until))
    unusable = pc.or_(pc.less(times, earliest), pc.greater_equal(times, latest))
    return pc.fill_null(pc.or_(inside, unusable), True)


def _scalar(moment: dt.datetime, kind: pa.TimestampType) -> pa.Scalar:
    return pa.scalar(moment if kind.tz else moment.replace(tzinfo=None), type=kind)


def _is_outside(group: Any, column: str | None, interval: Interval) -> bool:
    """Whether the statistics of a row group say that no row of it is wanted."""
    columns = [group.column(index) for index in range(group.num_columns)]
    statistics = next((item.statistics for item in columns if item.path_in_schema == column), None)
    if statistics is None or not statistics.has_min_max or statistics.null_count != 0:
        return False
    low, high = statistics.min, statistics.max
    if not (isinstance(low, dt.datetime) and isinstance(high, dt.datetime)):
        return False
    low, high = (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC) for moment in (low, high))
    if low < EARLIEST or high >= LATEST:
        return False
    return bool(high < interval[0] or low >= interval[1])


def _in_microseconds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Python's times have no nanoseconds: they are cut, in nested fields too."""
    schema = pa.schema([field.with_type(_microseconds(field.type)) for field in batch.schema])
    return (
        batch
        if schema == batch.schema
        else pa.RecordBatch.from_arrays(
            [column.cast(kind, safe=False) for column, kind in zip(batch.columns, schema.types, strict=True)],
            schema=schema,
        )
    )


def _microseconds(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_microseconds(field.type)) for field in kind])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        make = pa.large_list if pa.types.is_large_list(kind) else pa.list_
        return make(kind.value_field.with_type(_microseconds(kind.value_type)))
    return kind

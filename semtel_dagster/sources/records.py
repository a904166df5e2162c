"""From files to records, and what cannot be read of them.

Shared by reading a source's week as a whole (`weeks`) and in parts (`parts`); which files, and in how many streams,
is theirs to say. What a record is in a week belongs in `judging`.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Iterable, Iterator

from semtel_dagster.errors import SourceError
from semtel_dagster.settings import SourceSettings
from semtel_dagster.sources.arrow_records import Chunk, Interval, delta_chunks, parquet_chunks
from semtel_dagster.sources.files import SourceFile
from semtel_dagster.sources.rules import REASONS, Rejection
from semtel_dagster.sources.text_records import Record, csv_rows, json_lines, json_values
from semtel_dagster.sources.validate import Contract

Found = Record | Chunk

_TEXT_READERS = {"jsonl": json_lines, "json": json_values, "csv": csv_rows}


def week_interval(week: dt.date) -> Interval:
    """The week that begins on a Monday, in UTC."""
    start = dt.datetime.combine(week, dt.time(), dt.UTC)
    return start, start + dt.timedelta(days=7)


def records_of(
    files: Iterable[SourceFile],
    contract: Contract,
    interval: Interval,
    faults: list[Rejection],
    only_times: bool = False,
) -> Iterator[tuple[SourceFile, Record]]:
    """The records of some files; for each file of which nothing can be read, its fault is put into `faults`."""
    for file, found in found_in(files, contract, interval, faults, only_times):
        if isinstance(found, Chunk):
            yield from ((file, record) for record in found.records())
        else:
            yield file, found


def found_in(
    files: Iterable[SourceFile],
    contract: Contract,
    interval: Interval,
    faults: list[Rejection],
    only_times: bool = False,
) -> Iterator[tuple[SourceFile, Found]]:
    """The same records, as columns where the file holds columns."""
    for file in files:
        begun = False
        try:
            for found in _read(file, contract.names["started_at"], interval, only_times):
                begun = True
                yield file, found
        except Rejection as rejection:
            fault = rejection
        except (OSError, EOFError, zlib.error) as error:
            fault = Rejection("unreadable_file", type(error).__name__)
        else:
            continue
        yield file, (None, fault)
        if not begun:
            faults.append(fault)


def nothing_readable(source: SourceSettings, first: SourceFile, fault: Rejection) -> SourceError:
    """The error of a source of which no file can be read."""
    return SourceError(
        f"source.path {source.path!r}: no file can be read; {first.name}: {REASONS[fault.reason]}"
        f" ({fault.detail}); write it again, or name another file"
    )


def _read(file: SourceFile, time_columns: tuple[str, ...], interval: Interval, only_times: bool) -> Iterator[Found]:
    if file.kind == "delta":
        yield from delta_chunks(file.url, time_columns, interval, only_times)
    elif file.kind == "parquet":
        with file.open() as stream:
            yield from parquet_chunks(stream, time_columns, interval, only_times, file.groups)
    elif file.kind in _TEXT_READERS:
        with file.open() as stream:
            yield from _TEXT_READERS[file.kind](stream)
    else:
        raise Rejection("unknown_file_kind", file.name)

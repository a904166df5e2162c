"""A source's week as a stream of batches, and how many conversations each week holds.

The rules: reading goes by path, then position, and that order is kept; of rows of one week with the same
conversation_id the first good one stays; a row without a usable time belongs to no week and shows in every one; a
file that cannot be read is one rejected row, and it is an error where no file can be.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from semtel_dagster.errors import SourceError
from semtel_dagster.settings import SourceSettings
from semtel_dagster.sources.arrow_records import Interval, delta_rows, parquet_rows
from semtel_dagster.sources.batches import READ, batches
from semtel_dagster.sources.files import SourceFile, find_files
from semtel_dagster.sources.rules import REASONS, Rejection
from semtel_dagster.sources.text_records import Record, csv_rows, json_lines, json_values
from semtel_dagster.sources.times import EARLIEST, LATEST, monday
from semtel_dagster.sources.validate import Contract, Row, reject

_TEXT_READERS = {"jsonl": json_lines, "json": json_values, "csv": csv_rows}


@dataclass(frozen=True)
class ReadWeek:
    """Reads one week of a source: `ReadWeek(source, monday)()` yields batches of `schema`.

    Rows whose reason is null are conversations of the week; the others are quarantined.

    Attributes:
        source: Where the conversations are, and how they are written.
        week: The Monday of the week, in UTC.
    """

    source: SourceSettings
    week: dt.date

    @property
    def schema(self) -> pa.Schema:
        """The schema of the batches: the conversations' columns and the quarantine's."""
        return READ

    def __call__(self) -> Iterator[pa.RecordBatch]:
        """Streams the week.

        Raises:
            SourceError: The source matches nothing, or no file of it can be read.
            SettingsError: The column mapping is wrong.
            DependencyError: A package that the source needs is missing.
        """
        yield from batches(self._rows())

    def _rows(self) -> Iterator[tuple[str, Row]]:
        contract = Contract.of(self.source)
        start = dt.datetime.combine(self.week, dt.time(), dt.UTC)
        interval = (start, start + dt.timedelta(days=7))
        seen: set[bytes] = set()
        for file, (position, values) in _records(self.source, contract, interval):
            if isinstance(values, Rejection):
                yield file.name, reject(position, values)
            elif (row := _row(contract, position, values, interval, seen)) is not None:
                yield file.name, row


def source_weeks(source: SourceSettings) -> dict[dt.date, int]:
    """How many rows with a usable time each week of a source holds, the oldest week first.

    Of Parquet files only the time column is read; rows are not validated, so some may be quarantined later.

    Raises:
        SourceError: The source matches nothing, or no file of it can be read.
        SettingsError: The column mapping is wrong.
        DependencyError: A package that the source needs is missing.
    """
    contract = Contract.of(source)
    weeks: Counter[dt.date] = Counter()
    for _, (_, values) in _records(source, contract, (EARLIEST, LATEST), only_times=True):
        if not isinstance(values, Rejection):
            try:
                weeks[monday(contract.time(values))] += 1
            except Rejection:
                continue
    return dict(sorted(weeks.items()))


def _row(
    contract: Contract, position: int | None, values: dict[str, Any], interval: Interval, seen: set[bytes]
) -> Row | None:
    """The row's conversation, or its rejection, or None if it belongs to another week."""
    try:
        started_at = contract.time(values)
    except Rejection as rejection:
        return contract.rejected(position, values, rejection, undated=True)
    if not interval[0] <= started_at < interval[1]:
        return None
    try:
        row = contract.row(position, values, started_at)
        _check_new(row, seen)
    except Rejection as rejection:
        return contract.rejected(position, values, rejection, undated=False)
    return row


def _check_new(row: Row, seen: set[bytes]) -> None:
    # Hashes keep the set small whatever the ids' length; 16 bytes never collide in practice.
    digest = hashlib.blake2b((row.conversation_id or "").encode(), digest_size=16).digest()
    if digest in seen:
        raise Rejection("duplicate_id")
    seen.add(digest)


def _records(
    source: SourceSettings, contract: Contract, interval: Interval, only_times: bool = False
) -> Iterator[tuple[SourceFile, Record]]:
    """The records of all files; a file that cannot be read (on) is one rejection without a position."""
    files = find_files(source.path)
    faults: list[Rejection] = []
    for file in files:
        begun = False
        try:
            for record in _read(file, contract.names["started_at"], interval, only_times):
                begun = True
                yield file, record
        except Rejection as rejection:
            fault = rejection
        except (OSError, EOFError, zlib.error) as error:
            fault = Rejection("unreadable_file", type(error).__name__)
        else:
            continue
        yield file, (None, fault)
        if not begun:
            faults.append(fault)
    if len(faults) == len(files):
        raise SourceError(
            f"source.path {source.path!r}: no file can be read; {files[0].name}: {REASONS[faults[0].reason]}"
            f" ({faults[0].detail}); write it again, or name another file"
        )


def _read(file: SourceFile, time_columns: tuple[str, ...], interval: Interval, only_times: bool) -> Iterator[Record]:
    if file.kind == "delta":
        yield from delta_rows(file.url, time_columns, interval, only_times)
    elif file.kind == "parquet":
        with file.open() as stream:
            yield from parquet_rows(stream, time_columns, interval, only_times)
    elif file.kind in _TEXT_READERS:
        with file.open() as stream:
            yield from _TEXT_READERS[file.kind](stream)
    else:
        raise Rejection("unknown_file_kind", file.name)

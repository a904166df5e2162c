"""A source's week in parts that tasks of a cluster read at the same time, each some files, or a stretch of a large one.

The rules are those of `weeks`, but a part cannot know which ids the parts before it hold: it marks its rows with its
number, and whoever brings the parts together keeps, of good rows with one id, the one of the first part.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa

from semtel_dagster.settings import SourceSettings
from semtel_dagster.sources.batches import READ
from semtel_dagster.sources.files import SourceFile, find_files
from semtel_dagster.sources.judging import judged_batches
from semtel_dagster.sources.records import found_in, nothing_readable, records_of, week_interval
from semtel_dagster.sources.rules import Rejection
from semtel_dagster.sources.slices import sliced
from semtel_dagster.sources.times import EARLIEST, LATEST
from semtel_dagster.sources.validate import Contract

READ_IN_PARTS = READ.append(pa.field("part", pa.int32()))
MOST_PARTS = 1024


@dataclass(frozen=True)
class ReadPart:
    """Reads some files' rows of one week: `ReadPart(...)()` yields batches of READ_IN_PARTS.

    Attributes:
        source: How the conversations are written.
        week: The Monday of the week, in UTC.
        files: The files, or slices of files, in the source's order.
        number: The part's place among the parts, from 0.
    """

    source: SourceSettings
    week: dt.date
    files: tuple[SourceFile, ...]
    number: int

    def __call__(self) -> Iterator[pa.RecordBatch]:
        """Streams the part; a file that cannot be read (on) is one rejected row."""
        contract, interval = Contract.of(self.source), week_interval(self.week)
        for batch in judged_batches(found_in(self.files, contract, interval, []), contract, interval):
            numbers = pa.array([self.number] * batch.num_rows, pa.int32())
            yield pa.RecordBatch.from_arrays([*batch.columns, numbers], schema=READ_IN_PARTS)


def week_parts(source: SourceSettings, week: dt.date, most: int = MOST_PARTS) -> list[ReadPart]:
    """The parts of a week in the source's order: one per file, or runs of files where there are very many.

    A large Parquet file is several parts, so that one file keeps many tasks busy.

    Raises:
        SourceError: The source matches nothing, or no file of it can be read.
        SettingsError: The column mapping is wrong.
        DependencyError: A package that the source needs is missing.
    """
    files = find_files(source.path)
    _require_one_readable(source, files)
    files = sliced(files)
    count = min(len(files), most)
    bounds = [len(files) * part // count for part in range(count + 1)]
    return [ReadPart(source, week, tuple(files[bounds[part] : bounds[part + 1]]), part) for part in range(count)]


def _require_one_readable(source: SourceSettings, files: list[SourceFile]) -> None:
    """Reads file after file until one gives a record: usually the first record of the first."""
    contract = Contract.of(source)
    everywhere: list[Rejection] = []
    for file in files:
        faults: list[Rejection] = []
        for _ in islice(records_of([file], contract, (EARLIEST, LATEST), faults, only_times=True), 2):
            pass  # a fault is known once it has been passed
        if not faults:
            return
        everywhere += faults
    raise nothing_readable(source, files[0], everywhere[0])

"""A source's week as a stream of batches, and how many conversations each week holds.

The rules: reading goes by path, then position, and that order is kept; of rows of one week with the same
conversation_id the first good one stays; a row without a usable time belongs to no week and shows in every one; a
file that cannot be read is one rejected row, and it is an error where no file can be.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from semtel_dagster.settings import SourceSettings
from semtel_dagster.sources.batches import READ
from semtel_dagster.sources.files import SourceFile, find_files
from semtel_dagster.sources.judging import judged_batches
from semtel_dagster.sources.parts import ReadPart, week_parts
from semtel_dagster.sources.records import found_in, nothing_readable, records_of, week_interval
from semtel_dagster.sources.rules import Rejection
from semtel_dagster.sources.times import EARLIEST, LATEST, monday
from semtel_dagster.sources.validate import Contract


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

    def parts(self) -> list[ReadPart]:
        """Readers of the week's parts; together they give the same rows, each with its part's number.

        Raises:
            SourceError, SettingsError, DependencyError: As when the whole is read, and at once.
        """
        return week_parts(self.source, self.week)

    def __call__(self) -> Iterator[pa.RecordBatch]:
        """Streams the week.

        Raises:
            SourceError: The source matches nothing, or no file of it can be read.
            SettingsError: The column mapping is wrong.
            DependencyError: A package that the source needs is missing.
        """
        contract, interval = Contract.of(self.source), week_interval(self.week)
        files, faults = find_files(self.source.path), list[Rejection]()
        yield from judged_batches(found_in(files, contract, interval, faults), contract, interval)
        _require_one_readable(self.source, files, faults)


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
    files, faults = find_files(source.path), list[Rejection]()
    for _, (_, values) in records_of(files, contract, (EARLIEST, LATEST), faults, only_times=True):
        if not isinstance(values, Rejection):
            try:
                weeks[monday(contract.time(values))] += 1
            except Rejection:
                continue
    _require_one_readable(source, files, faults)
    return dict(sorted(weeks.items()))


def _require_one_readable(source: SourceSettings, files: list[SourceFile], faults: list[Rejection]) -> None:
    if len(faults) == len(files):
        raise nothing_readable(source, files[0], faults[0])

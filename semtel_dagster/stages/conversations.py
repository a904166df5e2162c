"""The first stage: a source's week, parted into conversations and quarantined rows.

Reading and judging rows belongs in `semtel_dagster.sources`, which this stage gets as an argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from semtel_dagster.engines.base import Engine, Frame, Generator
from semtel_dagster.tables import CONVERSATIONS, REJECTED_CONVERSATIONS

PART = pa.field("part", pa.int32())
MOST_REMEMBERED = 200_000


class WeekReader(Protocol):
    """A week of a source: batches with the columns of both tables; a null reason means a good row."""

    @property
    def schema(self) -> pa.Schema:
        """The schema of every batch."""
        ...

    def __call__(self) -> Iterator[pa.RecordBatch]:
        """Streams the batches, from the start at each call."""
        ...

    def parts(self) -> Sequence[Generator]:
        """Readers of the week's parts in the source's order: the same rows, each with its part's number in `part`.

        Rows that only another part shows to be duplicates are still good.
        """
        ...


@dataclass(frozen=True)
class Conversations:
    """A week of the source: every row stands in one of the two frames.

    Attributes:
        accepted: Conversations, schema `tables.CONVERSATIONS`, in the source's order.
        rejected: Quarantined rows, schema `tables.REJECTED_CONVERSATIONS`, in the source's order.
    """

    accepted: Frame
    rejected: Frame


def read(read_week: WeekReader, engine: Engine) -> Conversations:
    """Parts a week's rows into conversations and quarantine, lazily; the source is read once for both.

    The source's order is kept rather than sorted by time, so that memory does not grow with the week.
    """
    if not engine.distributed:
        once = OnePass(read_week)
        accepted, rejected = (once.schema(table) for table in (CONVERSATIONS, REJECTED_CONVERSATIONS))
        return Conversations(
            accepted=engine.from_batches(once.accepted, accepted), rejected=engine.from_batches(once.rejected, rejected)
        )
    rows = _read_in_parts(read_week, engine)
    good = nw.col("reason").is_null()
    return Conversations(
        accepted=rows.filter(good).select(*CONVERSATIONS.names),
        rejected=rows.filter(~good).select(*REJECTED_CONVERSATIONS.names),
    )


class OnePass:
    """Reads a week for both tables at once: quarantined rows met on the way to the conversations are remembered.

    Where they were not met yet, or are too many to remember, the source is read for them.
    """

    def __init__(self, read_week: WeekReader) -> None:
        self._read_week = read_week
        self._remembered: list[pa.RecordBatch] | None = None

    def schema(self, table: pa.Schema) -> pa.Schema:
        """A table's columns as the reader gives them."""
        return pa.schema([self._read_week.schema.field(name) for name in table.names])

    def accepted(self) -> Iterator[pa.RecordBatch]:
        """The week's conversations."""
        remembered: list[pa.RecordBatch] = []
        met = 0
        for batch in self._read_week():
            good = pc.is_null(batch.column("reason"))
            if quarantined := len(batch) - pc.sum(good).as_py():
                met += quarantined
                if met <= MOST_REMEMBERED:
                    remembered.append(batch.filter(pc.invert(good)).select(REJECTED_CONVERSATIONS.names))
                batch = batch.filter(good)
            if batch.num_rows:
                yield batch.select(CONVERSATIONS.names)
        self._remembered = remembered if met <= MOST_REMEMBERED else None

    def rejected(self) -> Iterator[pa.RecordBatch]:
        """The week's quarantined rows."""
        if self._remembered is not None:
            yield from self._remembered
            return
        for batch in self._read_week():
            quarantined = batch.filter(pc.is_valid(batch.column("reason")))
            yield quarantined.select(REJECTED_CONVERSATIONS.names)


def _read_in_parts(read_week: WeekReader, engine: Engine) -> Frame:
    """The same rows, read by many tasks; of good rows with one id in several parts the first part's stays good.

    Only ids are exchanged between tasks, and only those that stand in several parts meet the rows again.
    """
    parts = read_week.parts()
    schema = read_week.schema.append(PART)
    rows = engine.from_parts(parts, schema)
    if len(parts) == 1:
        return rows.drop(PART.name)
    good = nw.col("reason").is_null()
    found = rows.filter(good).group_by("conversation_id").agg(first=nw.col("part").min(), times=nw.len())
    repeated = found.filter(nw.col("times") > 1).select("conversation_id", "first")
    late = good & (nw.col("part") > nw.col("first"))
    return (
        rows.join(repeated, on="conversation_id", how="left")
        .with_columns(reason=nw.when(late).then(nw.lit("duplicate_id")).otherwise(nw.col("reason")))
        .drop(PART.name, "first")
    )

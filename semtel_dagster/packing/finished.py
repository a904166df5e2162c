"""Finished rows on their way out of a run in company.

Belongs here: what earlier calls about a conversation cost is added to its row, each copy of a text gets a row of its
own, and all are counted. Which answers are finished is decided in `session`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

from semtel_dagster import tables
from semtel_dagster.packing.charges import Charge
from semtel_dagster.packing.packs import Conversation
from semtel_dagster.packing.rounds import Row
from semtel_dagster.packing.tally import Tally

ROWS_AT_ONCE = 1_024


class Finished:
    """Rows that wait to go out, and what is owed for calls that brought no row."""

    def __init__(self, tally: Tally) -> None:
        """Starts with nothing."""
        self._tally = tally
        self._rows: list[Row] = []
        self._debts: dict[str, Charge] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Takes rows of RESPONSES."""
        self._rows += rows

    def owe(self, content_hash: str, charge: Charge) -> None:
        """What a call cost that brought this conversation no answer; its row will carry it."""
        self._debts[content_hash] = self._debts.get(content_hash, Charge()) + charge

    def flush(self, *, all_of_it: bool = False) -> Iterator[pa.RecordBatch]:
        """The rows that wait, when there are many or `all_of_it` is to go."""
        if self._rows and (all_of_it or len(self._rows) >= ROWS_AT_ONCE):
            rows, self._rows = self._rows, []
            yield self.out(pa.RecordBatch.from_pylist(rows, schema=tables.RESPONSES))

    def out(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Rows with what is owed for their conversations, counted."""
        return self.counted(self._with_debts(rows))

    def with_copies(self, batches: Iterator[pa.RecordBatch], copies: Mapping[str, int]) -> Iterator[pa.RecordBatch]:
        """Passes batches on, then what waits, with a row that made no call for each further row of a text."""
        for batch in (each for some in (batches, self.flush(all_of_it=True)) for each in some):
            yield batch
            more = [
                row | Charge().as_dict()
                for row in batch.to_pylist()
                for _ in range(copies.get(row["content_hash"], 1) - 1)
            ]
            if more:
                yield self.counted(pa.RecordBatch.from_pylist(more, schema=tables.RESPONSES))

    def counted(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The same rows, counted."""
        answered = rows.column("status").to_pylist().count("answered")
        self._tally.answered += answered
        self._tally.failed += rows.num_rows - answered
        self._tally.show()
        return rows

    def _with_debts(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        if not self._debts:
            return rows
        paid = [row | (Charge.of(row) + self._debts.pop(row["content_hash"], Charge())).as_dict()
                for row in rows.to_pylist()]  # fmt: skip
        return pa.RecordBatch.from_pylist(paid, schema=tables.RESPONSES)


def failed_row(row: Row, conversation: Conversation, charge: Charge) -> Row:
    """The row of a conversation whose call failed for want of an endpoint."""
    return row | {"content_hash": conversation.content_hash, "raw_text": None} | charge.as_dict()

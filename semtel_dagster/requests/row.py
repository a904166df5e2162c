"""A conversation on its way through the engine, and a call under way for it.

Belongs here: their state, and the rows of the responses table they end as. Moving them belongs in `engine`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from semtel_dagster import tables
from semtel_dagster.requests.outcome import Kind, Outcome

if TYPE_CHECKING:
    from semtel_dagster.requests.endpoint import Endpoint

Record: TypeAlias = tuple[Any, ...]
"""A row of RESPONSES in the order of its columns, and whether it goes to the journal."""


class Row:
    """One conversation: where its text lies, and what happened to it.

    Attributes:
        content_hash: The text's hash.
        n_tokens: The text's tokens.
        tries: Calls that count against the row.
        faults: Calls that ended with a fault of the row's own.
        attempts: Calls sent, refusals included.
        refusals: Calls refused by rate or load.
        done: Whether it has ended.
        suspect: Whether it failed again while others were answered: the fault may be its own.
        avoid: The endpoint where it last failed.
        last: The outcome of its last failure.
        flights: Calls under way; two when hedged.
        followers: Rows with the same text that wait for this one's answer.
    """

    __slots__ = (
        "_answers",
        "_index",
        "_texts",
        "attempts",
        "avoid",
        "content_hash",
        "done",
        "faults",
        "flights",
        "followers",
        "last",
        "n_tokens",
        "refusals",
        "suspect",
        "tries",
    )

    def __init__(self, content_hash: str, texts: pa.Array, index: int, n_tokens: int) -> None:
        """Keeps a reference into the Arrow column; the text is decoded when it is sent."""
        self.content_hash = content_hash
        self.n_tokens = n_tokens
        self._texts = texts
        self._index = index
        self.tries = self.faults = self.attempts = self.refusals = 0
        self.done = self.suspect = False
        self._answers = 0
        self.avoid: Endpoint | None = None
        self.last: Outcome | None = None
        self.flights: tuple[Flight, ...] = ()
        self.followers = 0

    @property
    def text(self) -> str:
        """The transcript."""
        return str(self._texts[self._index])

    def fail_beside(self, answers: int) -> None:
        """Takes note of a failure of endpoint or network, after so many answers to all rows of the run."""
        if self.tries and answers > self._answers:
            self.suspect = True
        self._answers = answers


class Flight:
    """A call under way."""

    __slots__ = ("began", "endpoint", "hedge", "load", "probe", "reserved", "row", "task")

    def __init__(self, row: Row, endpoint: Endpoint, began: float, reserved: float) -> None:
        """Starts with nothing sent."""
        self.row = row
        self.endpoint = endpoint
        self.began = began
        self.reserved = reserved
        self.load = 0.0
        self.probe = False
        self.hedge = False
        self.task: asyncio.Task[None] | None = None


def answered(row: Row, fingerprint: str, endpoint: Endpoint, outcome: Outcome, latency: float) -> Record:
    """The table's row of an answer."""
    return (
        row.content_hash, fingerprint, endpoint.model, endpoint.name, outcome.text, outcome.finish_reason,
        outcome.logprobs, outcome.input_tokens, outcome.cached_tokens, outcome.output_tokens, latency,
        row.attempts, row.refusals, False, "answered", None, True,
    )  # fmt: skip


def failed(row: Row, fingerprint: str, endpoint: Endpoint | None, outcome: Outcome, latency: float | None) -> Record:
    """The table's row of a failure; faults of the row itself are kept, since they would recur."""
    return (
        row.content_hash, fingerprint, endpoint.model if endpoint else None, endpoint.name if endpoint else None,
        outcome.text, outcome.finish_reason, None, outcome.input_tokens, outcome.cached_tokens,
        outcome.output_tokens, latency, row.attempts, row.refusals, False, "failed", outcome.reason,
        outcome.kind is Kind.ROW_FAULT,
    )  # fmt: skip


def follower_of(record: Record) -> Record:
    """The row of a conversation that shares another's text: no call of its own."""
    return (*record[:11], 0, 0, *record[13:16], False)


def to_batch(records: list[Record]) -> tuple[pa.RecordBatch, list[bool]]:
    """The table's rows as one batch of RESPONSES, and which of them go to the journal."""
    *columns, keep = zip(*records, strict=True)
    arrays = [pa.array(values, type=field.type) for values, field in zip(columns, tables.RESPONSES, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=tables.RESPONSES), list(keep)

"""The first stage: a source's week, parted into conversations and quarantined rows.

Reading and judging rows belongs in `semtel_dagster.sources`, which this stage gets as an argument.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import narwhals as nw
import pyarrow as pa

from semtel_dagster.engines.base import Engine, Frame
from semtel_dagster.tables import CONVERSATIONS, REJECTED_CONVERSATIONS


class WeekReader(Protocol):
    """A week of a source: batches with the columns of both tables; a null reason means a good row."""

    @property
    def schema(self) -> pa.Schema:
        """The schema of every batch."""
        ...

    def __call__(self) -> Iterator[pa.RecordBatch]:
        """Streams the batches, from the start at each call."""
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
    """Parts a week's rows into conversations and quarantine, lazily; each frame reads the source once.

    The source's order is kept rather than sorted by time, so that memory does not grow with the week.
    """
    rows = engine.from_batches(read_week, read_week.schema)
    good = nw.col("reason").is_null()
    return Conversations(
        accepted=rows.filter(good).select(*CONVERSATIONS.names),
        rejected=rows.filter(~good).select(*REJECTED_CONVERSATIONS.names),
    )

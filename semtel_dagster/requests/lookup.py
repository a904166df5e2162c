"""The journal first: which conversations of a batch have their answer already, and which are asked.

Belongs here: splitting a batch, counting what was found. Looking a hash up belongs in `journal`, asking in `engine`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semtel_dagster.requests.row import Row
from semtel_dagster.requests.stores import Store


class Split(NamedTuple):
    """A batch in two parts.

    Attributes:
        found: Rows of RESPONSES that the journal holds; None when it holds none.
        rows: Conversations to ask.
        size: Bytes of text that the rows keep in memory.
    """

    found: pa.RecordBatch | None
    rows: list[Row]
    size: int


class Lookup:
    """Splits batches of conversations by what the journal knew when it was opened.

    Attributes:
        found: Rows found so far.
        failed: Of these, rows that failed by a fault of their own.
    """

    def __init__(self, journal: Store, models: Sequence[str]) -> None:
        """Counts answers of these models only."""
        self._journal, self._models = journal, tuple(models)
        self.found = self.failed = 0

    def split(self, batch: pa.RecordBatch) -> Split:
        """The answers that are there, and the rows to ask.

        Args:
            batch: Columns content_hash, text (large_string), n_tokens (int32).
        """
        hashes, texts = batch.column("content_hash"), batch.column("text")
        positions = self._journal.find(hashes, self._models)
        known = positions >= 0
        found = self._journal.read(positions[known]) if known.any() else None
        if found is not None:
            self.found += found.num_rows
            self.failed += pc.sum(pc.equal(found.column("status"), "failed")).as_py() or 0
        tokens = batch.column("n_tokens").to_pylist()
        names = hashes.to_pylist()
        rows = [Row(names[at], texts, at, tokens[at] or 0) for at in np.flatnonzero(~known).tolist()]
        size = pc.sum(pc.binary_length(texts)).as_py() or 0 if rows else 0
        return Split(found, rows, size)

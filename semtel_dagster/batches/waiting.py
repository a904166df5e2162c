"""Conversations that wait: a row function that answers for them while the rest is asked online, in one run.

Belongs here: telling waiting rows from others, and the answers' rows for them. Claiming them belongs in `submitting`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from semtel_dagster import tables
from semtel_dagster.batches.batch import WAITING, WAITING_REASON
from semtel_dagster.batches.store import Store
from semtel_dagster.engines.base import ArrowFunction
from semtel_dagster.requests.journal import Journal


@dataclass(frozen=True)
class WaitOrAsk:
    """Rows of an open batch that have no answer yet are waiting; all others go on to `ask`. Picklable, as that is.

    Attributes:
        ask: Answers rows online, or from the journal.
        journal: The journal's folder.
        classifier: Who asks.
        fingerprint: Its prompt's.
        models: The models whose answers count.
    """

    ask: ArrowFunction
    journal: str
    classifier: str
    fingerprint: str
    models: tuple[str, ...]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches of RESPONSES, one row per input row, in any order."""
        # The open batches before the journal: one that is collected in between is then found there.
        waiting = Store.beside(self.journal).waiting(self.classifier, self.fingerprint)
        held: list[pa.RecordBatch] = []
        for answers in self.ask(self._split(batches, waiting, held)):
            yield answers
            while held:
                yield held.pop()
        yield from held

    def _split(
        self, batches: Iterator[pa.RecordBatch], waiting: set[str], held: list[pa.RecordBatch]
    ) -> Iterator[pa.RecordBatch]:
        """Passes on what is to be asked, and puts the rows of what waits into `held`."""
        journal = Journal(self.journal, self.classifier, self.fingerprint) if waiting else None
        try:
            for batch in batches:
                if journal is None:
                    yield batch
                    continue
                hashes = batch.column("content_hash")
                unknown = journal.find(hashes, self.models) < 0
                wait = np.array([value in waiting for value in hashes.to_pylist()], dtype=bool) & unknown
                if wait.any():
                    held.append(waiting_rows(hashes.filter(pa.array(wait)), self.fingerprint))
                    batch = batch.filter(pa.array(~wait))
                if batch.num_rows:
                    yield batch
        finally:
            if journal is not None:
                journal.close()


def waiting_rows(hashes: pa.Array, fingerprint: str) -> pa.RecordBatch:
    """Rows of RESPONSES without an answer, for conversations that wait."""
    values: dict[str, Any] = {
        "prompt_fingerprint": fingerprint,
        "attempts": 0,
        "refusals": 0,
        "from_journal": False,
        "status": WAITING,
        "error": WAITING_REASON,
    }
    columns = [
        hashes.cast(field.type)
        if field.name == "content_hash"
        else pa.array([values.get(field.name)] * len(hashes), field.type)
        for field in tables.RESPONSES
    ]
    return pa.RecordBatch.from_arrays(columns, schema=tables.RESPONSES)

"""Collecting: a batch's result files into the journal, each conversation at most once.

Belongs here: reading files of results in pieces and appending what is final. When a batch is collected belongs in
`tending`. Collecting again after a crash appends nothing twice: what the journal has is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa

from semtel_dagster import tables
from semtel_dagster.batches.batch import Batch
from semtel_dagster.batches.lines import read_result, response_row
from semtel_dagster.requests.journal import Journal

AT_ONCE = 2048
_COUNTED = ("input_tokens", "cached_tokens", "output_tokens")


@dataclass(frozen=True)
class Collected:
    """What a batch brought.

    Attributes:
        batch: With the counts of its answers.
        released: What it left unanswered (`store.REQUESTED`).
    """

    batch: Batch
    released: pa.Table


def collect(batch: Batch, requested: pa.Table, lines: Iterable[bytes], journal_folder: str) -> Collected:
    """Takes results up.

    Args:
        batch: The batch.
        requested: What it was asked (`store.REQUESTED`); a result for anything else is ignored.
        lines: The lines of its files, in any order; of two results for a conversation the first final one counts.
        journal_folder: Where the answers go, durable when this returns.

    Raises:
        OSError: The journal cannot be written.
    """
    wanted = set(requested["content_hash"].to_pylist())
    rows = _rows(batch, wanted, lines)
    counts = dict.fromkeys(_COUNTED, 0)
    journal = Journal(journal_folder, batch.classifier, batch.fingerprint)
    writer = journal.writer()
    try:
        while piece := list(islice(rows, AT_ONCE)):
            for row in piece:
                wanted.discard(row["content_hash"])
            for name in _COUNTED:
                counts[name] += sum(row[name] or 0 for row in piece)
            fresh = _unknown(pa.RecordBatch.from_pylist(piece, schema=tables.RESPONSES), journal, batch.model)
            if fresh.num_rows:
                writer.append(fresh)
    finally:
        writer.close()
        journal.close()
    released = requested.filter(
        pa.array([value in wanted for value in requested["content_hash"].to_pylist()], pa.bool_())
    )
    answered = requested.num_rows - released.num_rows
    return Collected(batch.model_copy(update={"answered": answered, **counts}), released)


def _rows(batch: Batch, wanted: set[str], lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for line in lines:
        content_hash, outcome = read_result(line)
        if outcome is not None and content_hash in wanted and content_hash not in seen:
            seen.add(content_hash)
            yield response_row(batch, content_hash, outcome)


def _unknown(rows: pa.RecordBatch, journal: Journal, model: str) -> pa.RecordBatch:
    return rows.filter(pa.array(journal.find(rows.column("content_hash"), (model,)) < 0))

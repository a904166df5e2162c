"""What each record of a source is in a week: a conversation, or a row in quarantine, or none of the week's.

Whole columns are judged at once where that can be (`columns`), the other records one by one (`validate`); the rows are
the same, and in the same order. Reading records belongs in `records`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from semtel_dagster.sources.arrow_records import Chunk, Interval
from semtel_dagster.sources.batches import READ, batches
from semtel_dagster.sources.columns import judge
from semtel_dagster.sources.files import SourceFile
from semtel_dagster.sources.records import Found
from semtel_dagster.sources.rules import Rejection
from semtel_dagster.sources.text_records import Record
from semtel_dagster.sources.validate import Contract, Row, reject

LEAST_GOOD = 0.5


def judged_batches(
    found: Iterable[tuple[SourceFile, Found]], contract: Contract, interval: Interval
) -> Iterator[pa.RecordBatch]:
    """The rows of the interval in schema READ, good or with the reason why not; an id is good once."""
    seen: set[bytes] = set()
    for by_columns, run in groupby(found, key=lambda item: isinstance(item[1], Chunk)):
        if by_columns:
            for file, chunk in run:
                assert isinstance(chunk, Chunk)
                yield from _judged_chunk(file, chunk, contract, interval, seen)
        else:
            records = ((file, record) for file, record in run if not isinstance(record, Chunk))
            yield from batches(_judged(records, contract, interval, seen))


def _judged_chunk(
    file: SourceFile, chunk: Chunk, contract: Contract, interval: Interval, seen: set[bytes]
) -> Iterator[pa.RecordBatch]:
    found = judge(chunk.rows, chunk.positions, contract, interval)
    if found is None or found.good.mean() < LEAST_GOOD:
        yield from batches(_judged(((file, record) for record in chunk.records()), contract, interval, seen))
        return
    kept: list[int] = []
    others: dict[int, Row] = {}  # by their place in the chunk
    for place, (good, conversation_id) in enumerate(zip(found.good.tolist(), found.ids, strict=True)):
        if good and _is_new(conversation_id, seen):
            kept.append(place)
        elif row := _judged_alone(chunk, place, contract, interval, seen):
            others[place] = row
    names = pa.array([file.name] * len(found.ids), pa.large_string())
    rows = found.rows.set_column(READ.names.index("source"), READ.field("source"), names)
    if len(kept) < len(rows):
        rows = rows.take(pa.array(kept, pa.int64()))
    if others:
        mended = batches((file.name, row) for row in others.values())
        order = pa.array(np.argsort([*kept, *others], kind="stable"))
        yield from pa.Table.from_batches([rows, *mended]).take(order).combine_chunks().to_batches()
    elif rows.num_rows:
        yield rows


def _judged_alone(chunk: Chunk, place: int, contract: Contract, interval: Interval, seen: set[bytes]) -> Row | None:
    (values,) = chunk.rows.slice(place, 1).to_pylist()
    return _row(contract, chunk.positions[place].as_py(), values, interval, seen)


def _judged(
    records: Iterable[tuple[SourceFile, Record]], contract: Contract, interval: Interval, seen: set[bytes]
) -> Iterator[tuple[str, Row]]:
    """The rows of the interval with their file's name, good or with the reason why not; an id is good once."""
    for file, (position, values) in records:
        if isinstance(values, Rejection):
            yield file.name, reject(position, values)
        elif (row := _row(contract, position, values, interval, seen)) is not None:
            yield file.name, row


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
    if not _is_new(row.conversation_id or "", seen):
        raise Rejection("duplicate_id")


def _is_new(conversation_id: str, seen: set[bytes]) -> bool:
    # Hashes keep the set small whatever the ids' length; 16 bytes never collide in practice.
    digest = hashlib.blake2b(conversation_id.encode(), digest_size=16).digest()
    known = len(seen)
    seen.add(digest)
    return len(seen) > known

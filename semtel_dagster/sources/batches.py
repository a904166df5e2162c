"""Rows as Arrow batches of bounded size: the shape in which a source's week is handed on.

Accepted and rejected rows share one schema, so that one pass over the source yields both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from semtel_dagster.sources.validate import Row
from semtel_dagster.tables import CONVERSATIONS, MESSAGES, REJECTED_CONVERSATIONS

READ = pa.schema(
    [field.with_nullable(True) for field in CONVERSATIONS]
    + [field for field in REJECTED_CONVERSATIONS if field.name != "conversation_id"]
)

BATCH_ROWS = 1024
BATCH_CHARACTERS = 8 * 2**20


def batches(rows: Iterable[tuple[str, Row]]) -> Iterator[pa.RecordBatch]:
    """Packs rows, each with its file's name, into batches of schema READ.

    A batch holds BATCH_ROWS rows, or fewer where their text reaches BATCH_CHARACTERS, so memory stays flat.
    """
    pending: list[tuple[str, Row]] = []
    characters = 0
    for source, row in rows:
        pending.append((source, row))
        characters += sum(len(content) for _, content in row.messages or ()) + len(row.extra or "")
        if len(pending) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield _batch(pending)
            pending, characters = [], 0
    if pending:
        yield _batch(pending)


def _batch(pending: list[tuple[str, Row]]) -> pa.RecordBatch:
    rows = [row for _, row in pending]
    columns: dict[str, pa.Array] = {
        name: pa.array([getattr(row, name) for row in rows], READ.field(name).type)
        for name in READ.names
        if name not in {"messages", "source"}
    }
    columns["messages"] = _messages(rows)
    columns["source"] = pa.array([source for source, _ in pending], pa.large_string())
    return pa.RecordBatch.from_arrays([columns[name] for name in READ.names], schema=READ)


def _messages(rows: list[Row]) -> pa.Array:
    offsets: list[int | None] = []
    end = 0
    for row in rows:
        offsets.append(None if row.messages is None else end)
        end += len(row.messages or ())
    flat = [message for row in rows for message in row.messages or ()]
    roles = pa.array([role for role, _ in flat], pa.large_string())
    contents = pa.array([content for _, content in flat], pa.large_string())
    turns = pa.StructArray.from_arrays([roles, contents], fields=list(MESSAGES.value_type))
    return pa.LargeListArray.from_arrays(pa.array([*offsets, end], pa.int64()), turns, type=MESSAGES)

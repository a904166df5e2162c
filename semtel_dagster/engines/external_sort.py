"""Sorting rows that do not fit into memory by a column of hashes, on one machine.

Rows go once through unnamed temporary files, a file per stretch of hashes, so that a killed process leaves nothing
behind. `TMPDIR` says where they lie. What the rows are is the caller's business.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, pairwise
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

GROUP_BYTES = 32 * 2**20
STRETCHES = 128
BATCH_ROWS = 1024
# Hashes are hexadecimal and uniform, so that stretches are alike; any other text is sorted too, only less evenly.
BOUNDS = np.array([f"{stretch * 256 // STRETCHES:02x}" for stretch in range(1, STRETCHES)])


def sorted_by_hash(batches: Iterable[pa.RecordBatch], schema: pa.Schema, key: str) -> Iterator[pa.RecordBatch]:
    """The same rows in ascending order of a column; rows with one key stay in their order.

    Holds some times `GROUP_BYTES`, or a 128th of all rows if that is more. Rows of less than a group never leave
    memory.

    Args:
        batches: Rows of `schema`.
        schema: With a column `key` of hexadecimal text, none of it null.
        key: What to sort by.

    Yields:
        Batches of at most `BATCH_ROWS` rows.
    """
    groups = _groups(batches, schema)
    first, second = next(groups, schema.empty_table()), next(groups, None)
    if second is None:
        yield from _sorted(first, key).to_batches(BATCH_ROWS)
        return
    with ExitStack() as opened:
        files = [opened.enter_context(tempfile.TemporaryFile()) for _ in range(STRETCHES)]
        _distribute(chain([first, second], groups), schema, key, files)
        del first, second
        for file in files:
            yield from _sorted(_read(file), key).to_batches(BATCH_ROWS)


def _groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    held_bytes = 0
    for batch in batches:
        held.append(batch)
        held_bytes += batch.nbytes
        if held_bytes >= GROUP_BYTES:
            yield pa.Table.from_batches(held, schema=schema)
            held, held_bytes = [], 0
    if held:
        yield pa.Table.from_batches(held, schema=schema)


def _distribute(groups: Iterable[pa.Table], schema: pa.Schema, key: str, files: Sequence[IO[bytes]]) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with ExitStack() as opened:
        writers = [
            opened.enter_context(pa.ipc.new_stream(pa.PythonFile(file, "w"), schema, options=options)) for file in files
        ]
        for group in groups:
            rows = _sorted(group, key)
            starts = pc.utf8_slice_codeunits(rows.column(key), 0, 2).to_numpy().astype("U2")
            cuts = [0, *np.searchsorted(starts, BOUNDS).tolist(), len(rows)]
            for writer, (first, last) in zip(writers, pairwise(cuts), strict=True):
                if first < last:
                    writer.write_table(rows.slice(first, last - first))


def _read(file: IO[bytes]) -> pa.Table:
    file.seek(0)
    return pa.ipc.open_stream(pa.PythonFile(file, "r")).read_all()


def _sorted(rows: pa.Table, key: str) -> pa.Table:
    return rows.take(pc.sort_indices(rows, [(key, "ascending")]))

"""Writing rows as one Parquet part, in row groups that read back in little memory.

What rows a part holds, and where it lies, is the engines' and the I/O manager's business.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq

# A group is read as a whole, and readers fetch several ahead: conversations fill one with about a thousand rows.
ROW_GROUP_BYTES = 8 * 2**20


def write_part(batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: str) -> None:
    """Writes batches as one zstd Parquet file, in groups of about ROW_GROUP_BYTES; one group is held at a time.

    Args:
        batches: Rows of the schema, in order; none give a file without rows.
        schema: The file's schema.
        path: Where to.
    """
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        group: list[pa.RecordBatch] = []
        held = 0
        for batch in batches:
            group.append(batch)
            held += batch.nbytes
            if held >= ROW_GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(group, schema=schema))
                group, held = [], 0
        if group:
            writer.write_table(pa.Table.from_batches(group, schema=schema))

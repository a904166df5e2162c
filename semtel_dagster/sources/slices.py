"""Large Parquet files in slices of row groups, so that several tasks of a cluster can read one file.

Text files have no places to begin in: they stay whole. Reading a slice belongs in `arrow_records`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from semtel_dagster.sources.files import SourceFile

SLICE_BYTES = 256 * 2**20
FEW_FILES = 64


def sliced(files: Sequence[SourceFile], slice_bytes: int = SLICE_BYTES) -> list[SourceFile]:
    """The same files in the same order, Parquet files in slices of about so many bytes before compression.

    Sources of `FEW_FILES` files or more keep tasks busy as they are; their footers are not read.
    """
    if len(files) >= FEW_FILES:
        return list(files)
    return [part for file in files for part in (_slices(file, slice_bytes) if file.kind == "parquet" else [file])]


def _slices(file: SourceFile, slice_bytes: int) -> Iterator[SourceFile]:
    try:
        with file.open() as stream:
            metadata = pq.ParquetFile(stream, pre_buffer=False).metadata
    except (pa.ArrowException, OSError):
        yield file  # whoever reads it tells what is wrong with it
        return
    first = held = 0
    for group in range(metadata.num_row_groups):
        held += metadata.row_group(group).total_byte_size
        if held >= slice_bytes:
            yield replace(file, groups=(first, group + 1))
            first, held = group + 1, 0
    if first == 0:
        yield file
    elif first < metadata.num_row_groups:
        yield replace(file, groups=(first, metadata.num_row_groups))

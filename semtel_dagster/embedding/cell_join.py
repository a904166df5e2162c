"""The candidate plan of near-duplicate search as row functions: what tasks of a cluster do with their rows.

First every row goes to the cells it probes, then each cell compares its rows. Nothing here knows a frame; who brings
a cell's rows together, and what becomes of the edges, belongs in `stages/spread_duplicates.py`. The edges are
those that `near_duplicates.Comparisons` finds with the same cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from semtel_dagster.embedding.base import Vectors
from semtel_dagster.embedding.cells import Cells
from semtel_dagster.embedding.near_duplicates import BLOCK_ROWS, SLACK, Edges, Rows, cosines

LEFT, RIGHT, BOTH = 1, 2, 3
EDGES = pa.schema([("left", pa.large_string()), ("right", pa.large_string()), ("similarity", pa.float64())])


def probes_schema(dimensions: int) -> pa.Schema:
    """The schema of rows on their way to cells, one per row and probed cell."""
    return pa.schema(
        [
            ("cell", pa.int32()),
            ("own", pa.bool_()),  # the row's nearest cell, in which it is stored
            ("content_hash", pa.large_string()),
            ("side", pa.int32()),  # LEFT, RIGHT or BOTH: a pair needs one row of each
            ("embedding", pa.list_(pa.float32(), dimensions)),
        ]
    )


@dataclass(frozen=True, eq=False)
class ProbeCells:
    """Sends every row to each cell it probes.

    Attributes:
        cells: The plan, the same in every task.
    """

    cells: Cells

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches of (content_hash, side int32, embedding) to batches of `probes_schema`."""
        dimensions = self.cells.centroids.shape[1]
        schema = probes_schema(dimensions)
        for batch in batches:
            vectors = vectors_of(batch.column("embedding"), dimensions)
            nearest = self.cells.assign(vectors)
            for probe in range(nearest.shape[1]):
                columns = [
                    pa.array(nearest[:, probe]),
                    pa.array(np.full(len(nearest), probe == 0)),
                    batch.column("content_hash"),
                    batch.column("side"),
                    pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), dimensions),
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)


@dataclass(frozen=True)
class CompareCells:
    """Compares the rows of each cell: those stored in it with all that probe it.

    Attributes:
        threshold: The least cosine of an edge.
    """

    threshold: float

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches of `probes_schema` to batches of EDGES, left the smaller hash; an edge may come twice.

        A cell's rows must follow one another by hash, all in one task; the rows of one cell are held at a time.
        """
        with threadpool_limits(limits=1, user_api="blas"):
            for cell in cells_of(batches):
                edges = self._edges(cell)
                if len(edges.left):
                    hashes = cell.column("content_hash").combine_chunks()
                    ends = [hashes.take(pa.array(side)) for side in (edges.left, edges.right)]
                    yield pa.RecordBatch.from_arrays([*ends, pa.array(edges.similarity)], schema=EDGES)

    def _edges(self, cell: pa.Table) -> Edges:
        dimensions = cell.schema.field("embedding").type.list_size
        vectors = vectors_of(cell.column("embedding").combine_chunks(), dimensions)
        own = cell.column("own").to_numpy()
        side = cell.column("side").to_numpy()
        low: list[Rows] = [np.empty(0, dtype=np.int64)]
        high: list[Rows] = [np.empty(0, dtype=np.int64)]
        stored = np.flatnonzero(own)
        for start in range(0, len(stored), BLOCK_ROWS):
            block = stored[start : start + BLOCK_ROWS]
            i, j = np.nonzero(vectors[block] @ vectors.T >= np.float32(self.threshold - SLACK))
            i = block[i]
            kept = _is_pair(side[i], side[j]) & (i != j) & ~(own[j] & (j < i))
            low.append(np.minimum(i, j)[kept])
            high.append(np.maximum(i, j)[kept])
        left, right = np.concatenate(low), np.concatenate(high)
        similarity = cosines(vectors, left, right)
        near = similarity >= self.threshold
        return Edges(left[near], right[near], similarity[near])


def _is_pair(one: npt.NDArray[np.int32], other: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    either: npt.NDArray[np.bool_] = (one & LEFT & (other >> 1)).astype(bool) | ((one >> 1) & other & LEFT).astype(bool)
    return either


def cells_of(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows of one cell after the other, from batches in which they follow one another."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        cells = batch.column("cell").to_numpy()
        starts = [0, *(np.flatnonzero(cells[1:] != cells[:-1]) + 1).tolist(), len(cells)]
        for start, end in pairwise(starts):
            if start == end:
                continue
            if held and held[0].column("cell")[0].as_py() != cells[start]:
                yield pa.Table.from_batches(held)
                held = []
            held.append(batch.slice(start, end - start))
    if held:
        yield pa.Table.from_batches(held)


def vectors_of(embeddings: pa.Array, dimensions: int) -> Vectors:
    """A column of embeddings as a matrix of float32."""
    values: Vectors = embeddings.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    return values.reshape(-1, dimensions)

"""Near duplicates where the embeddings lie on many machines: the same groups, without bringing the vectors together.

The driver gets a sample of vectors for the plan's centroids, then edges as pairs of hashes; it decides who represents
whom. What is compared in a cell, and what groups are, belongs in `embedding`.
"""

from __future__ import annotations

from dataclasses import dataclass

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semtel_dagster.embedding.cell_join import (
    BOTH,
    EDGES,
    LEFT,
    RIGHT,
    CompareCells,
    ProbeCells,
    probes_schema,
    vectors_of,
)
from semtel_dagster.embedding.cells import ROWS_PER_CELL, Cells, build_cells, cell_count
from semtel_dagster.embedding.near_duplicates import HEAD_SHARE, MANY_EDGES, Edges, first_independent_set, joined
from semtel_dagster.engines.base import Engine, Frame

HASH = "content_hash"
HEAD = nw.col(HASH).str.starts_with("0")  # a sixteenth of all hashes, the first in their order
STANDING = "standing"
KEPT = nw.col("dropped").is_null()
STANDS_FOR = pa.schema(
    [(HASH, pa.large_string()), ("representative_hash", pa.large_string()), ("cosine", pa.float64())]
)


def find_groups_apart(embeddings: Frame, rows: int, threshold: float, engine: Engine) -> pa.Table:
    """Who represents whom, as `embedding.near_duplicates.find_groups` defines it with the plan of `cells.py`.

    Where the first sixteenth of the hashes foretells very many edges, it is settled before the others, as there.

    Args:
        embeddings: Columns content_hash (32 hex digits, unique) and embedding; with a boolean column standing, the
            rows where it is true represent themselves.
        rows: How many there are; more than none.
        threshold: The least cosine between near duplicates.
        engine: Assigns and compares.

    Returns:
        STANDS_FOR: a row per hash that another hash stands for.
    """
    search = EdgeSearch(embeddings, plan_cells(embeddings, rows), threshold, engine)
    if STANDING in embeddings.collect_schema().names():
        return _after(search, nw.col(STANDING), pa.array([], pa.large_string()))
    in_head = search.edges(embeddings.filter(HEAD).with_columns(side=_lit(BOTH)))
    if in_head.num_rows * HEAD_SHARE**2 <= MANY_EDGES:
        graph = Graph.of(search.edges(embeddings.with_columns(side=_lit(BOTH))))
        return graph.groups(graph.dropped())
    return _after(search, HEAD, Graph.of(in_head).dropped())


def plan_cells(embeddings: Frame, rows: int) -> Cells:
    """The cells that `build_cells` would make of all rows: its sample are the first by hash."""
    count = min(cell_count(rows), rows)
    sample = embeddings.sort(HASH).head(count * ROWS_PER_CELL).collect(backend="pyarrow").to_native()
    column = sample.column("embedding").combine_chunks()
    return build_cells(vectors_of(column, len(column.flatten()) // len(column)), count)


@dataclass(frozen=True)
class EdgeSearch:
    """Finds edges among the rows of a frame, in tasks."""

    embeddings: Frame
    cells: Cells
    threshold: float
    engine: Engine

    def edges(self, rows: Frame) -> pa.Table:
        """The edges between rows of different sides, each once.

        Args:
            rows: `embeddings` or some of them, with a column side.

        Returns:
            EDGES; the smaller hash is left.
        """
        probing = self.engine.map_batches(
            rows.select(HASH, "side", "embedding"),
            ProbeCells(self.cells),
            probes_schema(self.cells.centroids.shape[1]),
        )
        together = self.engine.spread(probing, "cell", order=[HASH])
        found = self.engine.map_batches(together, CompareCells(self.threshold), EDGES)
        return found.unique().collect(backend="pyarrow").to_native().cast(EDGES)

    def sided(self, dropped: pa.Array, side: nw.Expr) -> Frame:
        """The rows with a side that may depend on KEPT: being none of some hashes; rows on side 0 are left out."""
        marks = pa.table({HASH: dropped, "dropped": pa.array(np.ones(len(dropped), dtype=bool))})
        marked = self.embeddings.join(self.engine.from_arrow(marks), on=HASH, how="left")
        return marked.with_columns(side=side).filter(nw.col("side") > 0)

    def outside(self, in_head: nw.Expr, hashes: pa.Array) -> pa.Array:
        """Which of some hashes are not of the head, in their order."""
        these = self.engine.from_arrow(pa.table({HASH: hashes}))
        rows = self.embeddings.filter(~in_head).select(HASH).join(these, on=HASH, how="semi").sort(HASH)
        column = rows.collect(backend="pyarrow").to_native().column(HASH).cast(pa.large_string())
        return column.combine_chunks() if column.num_chunks else pa.array([], pa.large_string())


@dataclass(frozen=True)
class Graph:
    """Edges by position in the sorted hashes that have any.

    Attributes:
        hashes: large_string, sorted.
        edges: Positions and cosines, left < right.
    """

    hashes: pa.Array
    edges: Edges

    @classmethod
    def of(cls, *tables: pa.Table) -> Graph:
        """The graph of these edges."""
        table = pa.concat_tables(tables)
        ends = pa.chunked_array([*table.column("left").chunks, *table.column("right").chunks], pa.large_string())
        hashes = pc.unique(ends)
        hashes = hashes.take(pc.array_sort_indices(hashes))
        left, right = (
            pc.index_in(table.column(side), hashes).to_numpy().astype(np.int64) for side in ("left", "right")
        )
        return cls(hashes, Edges(left, right, table.column("similarity").to_numpy()))

    def dropped(self) -> pa.Array:
        """The hashes outside the first maximal independent set; all without an edge are in it."""
        chosen = first_independent_set(np.arange(len(self.hashes)), self.edges)
        return self.hashes.take(pa.array(np.setdiff1d(np.arange(len(self.hashes)), chosen)))

    def groups(self, dropped: pa.Array) -> pa.Table:
        """Every dropped hash with its most similar representative, as STANDS_FOR; the others represent."""
        rows = np.arange(len(self.hashes))
        stands = ~pc.is_in(self.hashes, dropped).to_numpy(zero_copy_only=False)
        groups = joined(len(rows), rows[stands], (self.edges,))
        members = np.flatnonzero(groups.representative != rows)
        to = self.hashes.take(pa.array(groups.representative[members]))
        columns = [self.hashes.take(pa.array(members)), to, pa.array(groups.similarity[members])]
        return pa.Table.from_arrays(columns, schema=STANDS_FOR)


def _after(search: EdgeSearch, in_head: nw.Expr, dropped: pa.Array) -> pa.Table:
    """The groups once the head's representatives are known: what they do not cover is compared among itself.

    Args:
        search: Finds edges.
        in_head: Whether a row is of the head.
        dropped: The hashes of the head that do not represent themselves.

    A hash is dropped once another stands for it; sides follow from that and from what the head is.
    """
    stands_or_joins = nw.when(in_head & KEPT).then(_lit(LEFT)).otherwise(_lit(RIGHT))
    to_first = search.edges(search.sided(dropped, stands_or_joins))
    covered = search.outside(in_head, Graph.of(to_first).hashes)
    still_open = nw.when(~in_head & KEPT).then(_lit(BOTH)).otherwise(_lit(0))
    among_open = Graph.of(search.edges(search.sided(covered, still_open)))
    dropped = pa.concat_arrays([dropped, covered, among_open.dropped()])
    of_second = nw.when(~KEPT).then(_lit(RIGHT)).otherwise(nw.when(in_head).then(_lit(0)).otherwise(_lit(LEFT)))
    to_second = search.edges(search.sided(dropped, of_second))
    return Graph.of(to_first, to_second).groups(dropped)


def _lit(side: int) -> nw.Expr:
    return nw.lit(side, nw.Int32)

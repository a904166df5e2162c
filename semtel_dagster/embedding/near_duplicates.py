"""Near duplicates among unit vectors: who represents whom.

The graph has an edge between two rows whose cosine is at least the threshold. Its lexicographically first maximal
independent set, rows taken in order of content hash, are the representatives (Blelloch, Fineman and Shun 2012,
"Greedy sequential maximal independent set and matching are parallel on average"); every other row joins its most
similar representative. So a dropped row is always within the threshold of the row that stands for it.

Reading embeddings from tables and writing groups belong in `stages/embed_dedupe.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semtel_dagster.embedding.base import Vectors
from semtel_dagster.embedding.cells import Cells, build_cells, in_threads

EXACT_BELOW = 20_000
SIMILARITY_DECIMALS = 6
HEAD_SHARE = 16
MANY_EDGES = 20_000_000
BLOCK_ROWS = 2048
SLACK = 1e-4  # more than float32 products of unit rows err

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Edges:
    """Pairs of rows with their cosines, all of one length.

    Attributes:
        left: Row numbers, int64.
        right: Row numbers, int64.
        similarity: Cosine in float64, rounded to six decimals.
    """

    left: Rows
    right: Rows
    similarity: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Groups:
    """For every row its representative's row number and the cosine to it (1.0 for a representative)."""

    representative: Rows
    similarity: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Comparisons:
    """Which rows are compared: all, or by cells.

    Attributes:
        vectors: Unit rows in order of content hash, shape [n, d].
        threshold: The least cosine of an edge.
        nearest: The cells that each row probes, its own first, int32 of shape [n, probes]; None compares all rows.
    """

    vectors: Vectors
    threshold: float
    nearest: npt.NDArray[np.int32] | None = None

    def edges(self, left: Rows, right: Rows) -> Edges:
        """The edges between two sets of rows, each once, in a fixed order; a set may be compared with itself."""
        found = in_threads(self._close_pairs, list(self._blocks(left, right)))
        keys = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *found]))
        low, high = np.divmod(keys, max(len(self.vectors), 1))
        similarity = cosines(self.vectors, low, high)
        kept = similarity >= self.threshold
        return Edges(low[kept], high[kept], similarity[kept])

    def _blocks(self, left: Rows, right: Rows) -> Iterator[tuple[Rows, Rows]]:
        if self.nearest is not None:
            yield from _cell_blocks(self.nearest, left, right)
            if left is not right:
                yield from _cell_blocks(self.nearest, right, left)
            return
        for start in range(0, len(left), BLOCK_ROWS):
            yield left[start : start + BLOCK_ROWS], right[start:] if left is right else right

    def _close_pairs(self, block: tuple[Rows, Rows]) -> Rows:
        """Pairs of different rows that may be edges, each as one number: the smaller row times n plus the larger."""
        left, right = block
        i, j = np.nonzero(self.vectors[left] @ self.vectors[right].T >= np.float32(self.threshold - SLACK))
        low, high = np.minimum(left[i], right[j]), np.maximum(left[i], right[j])
        keys: Rows = (low * len(self.vectors) + high)[low != high]
        return keys


def _cell_blocks(nearest: npt.NDArray[np.int32], stored: Rows, probing: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Rows of `stored` by their nearest cell, each with the rows of `probing` that probe this cell."""
    cells = int(nearest.max(initial=-1)) + 1
    by_own = stored[np.argsort(nearest[stored, 0], kind="stable")]
    own_starts = np.searchsorted(nearest[by_own, 0], np.arange(cells + 1))
    probed = nearest[probing].ravel()
    order = np.argsort(probed, kind="stable")
    by_probe = np.repeat(probing, nearest.shape[1])[order]
    probe_starts = np.searchsorted(probed[order], np.arange(cells + 1))
    for cell in range(cells):
        right = by_probe[probe_starts[cell] : probe_starts[cell + 1]]
        for start in range(own_starts[cell], own_starts[cell + 1], BLOCK_ROWS):
            left = by_own[start : min(start + BLOCK_ROWS, own_starts[cell + 1])]
            if len(right):
                yield left, right


def cosines(vectors: Vectors, left: Rows, right: Rows) -> npt.NDArray[np.float64]:
    """Cosine of each pair of rows in float64, rounded, so that it does not depend on the BLAS or the blocks."""
    parts = [np.empty(0)]
    for start in range(0, len(left), BLOCK_ROWS):
        a = vectors[left[start : start + BLOCK_ROWS]].astype(np.float64)
        b = vectors[right[start : start + BLOCK_ROWS]].astype(np.float64)
        parts.append(np.einsum("ij,ij->i", a, b) / np.sqrt(np.einsum("ij,ij->i", a, a) * np.einsum("ij,ij->i", b, b)))
    return np.minimum(np.round(np.concatenate(parts), SIMILARITY_DECIMALS), 1.0)


def first_independent_set(rows: Rows, edges: Edges) -> Rows:
    """The lexicographically first maximal independent set of `rows` in ascending order, by parallel rounds.

    Args:
        rows: Row numbers of the graph.
        edges: Edges among them, with left < right.
    """
    undecided = np.zeros(int(rows.max(initial=-1)) + 1, dtype=bool)
    undecided[rows] = True
    chosen = np.zeros_like(undecided)
    left, right = edges.left, edges.right
    while undecided.any():
        roots = undecided.copy()
        roots[right] = False
        chosen |= roots
        undecided &= ~roots
        undecided[right[roots[left]]] = False
        open_ = undecided[left] & undecided[right]
        left, right = left[open_], right[open_]
    return np.flatnonzero(chosen)


def find_groups(vectors: Vectors, threshold: float, cells: Cells | None = None, standing: Rows | None = None) -> Groups:
    """Who represents whom, among rows in order of content hash.

    Below `EXACT_BELOW` rows every pair is compared. Above it the plan of `cells.py` decides which, built from the
    rows themselves unless given. Where the first sixteenth of the rows foretells very many edges, it is settled before
    the others, which are then compared only as far as its representatives do not already cover them: the result is
    the same, and a large group of copies never needs all its pairs at once.

    Args:
        vectors: Unit rows, shape [n, d].
        threshold: The least cosine between near duplicates.
        cells: A plan to use whatever the number of rows.
        standing: Rows that represent themselves whatever is near them, e.g. representatives of earlier weeks. The
            others' representatives are the first independent set of what these do not cover. Unset: none.
    """
    if cells is None and len(vectors) >= EXACT_BELOW:
        cells = build_cells(vectors)
    comparisons = Comparisons(vectors, threshold, cells.assign(vectors) if cells else None)
    if standing is not None:
        return _groups_after(comparisons, standing)
    everything = np.arange(len(vectors))
    head, _ = np.split(everything, [-(-len(vectors) // HEAD_SHARE)])
    in_head = comparisons.edges(head, head)
    if len(in_head.left) * HEAD_SHARE**2 <= MANY_EDGES:
        edges = comparisons.edges(everything, everything)
        return joined(len(vectors), first_independent_set(everything, edges), (edges,))
    return _groups_after(comparisons, first_independent_set(head, in_head))


def _groups_after(comparisons: Comparisons, first: Rows) -> Groups:
    """The groups once some rows are known to stand: what these do not cover is settled among itself."""
    everything = np.arange(len(comparisons.vectors))
    to_first = comparisons.edges(first, np.setdiff1d(everything, first))
    open_rows = np.setdiff1d(everything, np.concatenate([first, to_first.left, to_first.right]))
    second = first_independent_set(open_rows, comparisons.edges(open_rows, open_rows))
    to_second = comparisons.edges(second, np.setdiff1d(everything, np.concatenate([first, second])))
    return joined(len(everything), np.concatenate([first, second]), (to_first, to_second))


def joined(rows: int, representatives: Rows, edges: tuple[Edges, ...]) -> Groups:
    """Every row with its most similar representative; the smaller row number wins a tie."""
    representative, similarity = np.arange(rows), np.ones(rows)
    stands = np.zeros(rows, dtype=bool)
    stands[representatives] = True
    left, right = (np.concatenate([getattr(e, side) for e in edges]) for side in ("left", "right"))
    cosine = np.concatenate([e.similarity for e in edges])
    useful = stands[left] != stands[right]
    left, right, cosine = left[useful], right[useful], cosine[useful]
    member, to = np.where(stands[left], right, left), np.where(stands[left], left, right)
    best = np.lexsort((-to, cosine, member))  # the last of each member's edges is its best
    representative[member[best]] = to[best]
    similarity[member[best]] = cosine[best]
    return Groups(representative, similarity)

"""The default embedding: what a text is about and how it is worded, in one vector of 256 numbers.

Means of token vectors drift together as texts grow: over 2,117 long Chinese conversations 432,248 pairs of different
ones pass cosine .95, and of the pairs of English ones that pass, half share less than half of their word 3-shingles.
So a sketch of the text's shingles is laid over the mean vector, scaled to make up `WORDING_SHARE` of the cosine.
Cosine .95 then means near duplicate: nearly the same tokens, mostly in the same order, letter case aside.

`python benchmarks/near_duplicates.py` prints precision and recall of this and other mixes against the Jaccard
similarity of word 3-shingles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from semtel_dagster.embedding.base import Vectors, rounded, unit_rows
from semtel_dagster.embedding.shingles import rooted, sketch
from semtel_dagster.embedding.static_vectors import DIMENSIONS, VERSION, StaticVectors, load_static_vectors

WORDING_SHARE = 0.3
BATCH_TEXTS = 256
_VECTOR_SCALE = 4096.0


@dataclass(frozen=True)
class EmbeddedProvider:
    """Embeds texts in this process; picklable, and the vectors are read on first use in each process."""

    wording_share: float = WORDING_SHARE

    @property
    def name(self) -> str:
        """Model and version, as recorded beside every stored embedding."""
        return f"{VERSION}+shingles-{self.wording_share:g}"

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        return DIMENSIONS

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embeds each text on its own: float32 of shape [len(texts), 256], rows of norm 1.

        Raises:
            DependencyError: The token vectors are missing or another version.
        """
        vectors = load_static_vectors()
        parts = [np.empty((0, DIMENSIONS), dtype=np.float32)]
        for start in range(0, len(texts), BATCH_TEXTS):
            token_ids = vectors.token_ids([text.lower() for text in texts[start : start + BATCH_TEXTS]])
            meaning = unit_rows(summed(vectors, token_ids))
            wording = unit_rows(np.stack([sketch(ids, DIMENSIONS) for ids in token_ids]))
            parts.append(rounded(np.sqrt(1 - self.wording_share) * meaning + np.sqrt(self.wording_share) * wording))
        return np.concatenate(parts)


def summed(vectors: StaticVectors, token_ids: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.float64]:
    """Sums of each text's token vectors, each token weighted by the square root of its count.

    Both factors are integers in fixed point, so the sums are exact in any order.

    Returns:
        float64 of shape [len(token_ids), DIMENSIONS], not normalised; zeros for a text without tokens.
    """
    tokens, weights = [], []
    for ids in token_ids:
        unique, counts = np.unique(ids, return_counts=True)
        tokens.append(unique)
        weights.append(rooted(counts))
    used, columns = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *tokens]), return_inverse=True)
    bounds = np.concatenate([[0], np.cumsum([len(t) for t in tokens], dtype=np.int64)])
    counts_of = csr_matrix(
        (np.concatenate([np.empty(0), *weights]), columns, bounds), shape=(len(token_ids), len(used))
    )
    return np.asarray(counts_of @ np.rint(vectors.table[used] * _VECTOR_SCALE))

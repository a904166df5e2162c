"""What an embedding provider is, and the one way vectors are brought to unit length and rounded.

Providers themselves have a module each; what is done with their vectors belongs elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Vectors: TypeAlias = npt.NDArray[np.float32]
DECIMALS = 6


class EmbeddingProvider(Protocol):
    """Turns texts into unit vectors; the same text gives the same bits whatever it is batched with."""

    @property
    def name(self) -> str:
        """Model and version, as recorded beside every stored embedding."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of each vector."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embeds each text on its own: float32 of shape [len(texts), dimensions], rows of norm 1."""
        ...


ProviderFactory: TypeAlias = Callable[[], EmbeddingProvider]


def unit_rows(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rows divided by their norms; a row of zeros becomes the first unit vector, so that every row has norm 1.

    Args:
        rows: Shape [n, d].
    """
    norms = np.sqrt(np.sum(rows * rows, axis=1, keepdims=True))
    unit: npt.NDArray[np.float64] = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    unit[norms[:, 0] == 0, 0] = 1.0
    return unit


def rounded(rows: npt.NDArray[np.float64]) -> Vectors:
    """Unit rows as float32 rounded to six decimals, which hides the last bits that batching or a CPU may change."""
    return np.round(unit_rows(rows), DECIMALS).astype(np.float32)

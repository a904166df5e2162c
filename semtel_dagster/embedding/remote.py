"""Embeddings from an OpenAI-compatible endpoint, behind the provider's interface.

The call itself belongs to the room of requests, which hands in `post`; no network client is known here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from semtel_dagster.embedding.base import Vectors, rounded
from semtel_dagster.errors import EndpointError

Post: TypeAlias = Callable[[Sequence[str]], Sequence[Sequence[float]]]
BATCH_TEXTS = 128


@dataclass(frozen=True)
class EndpointProvider:
    """Embeds texts by an endpoint; picklable if `post` is.

    Attributes:
        name: The model's name, as recorded beside every stored embedding.
        dimensions: Length of each vector, e.g. 1536.
        post: Texts to vectors in their order: one call of `/v1/embeddings`.
    """

    name: str
    dimensions: int
    post: Post

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embeds each text: float32 of shape [len(texts), dimensions], rows of norm 1.

        Raises:
            EndpointError: The answer has another number of vectors, another length, or numbers that are not finite.
        """
        parts = [np.empty((0, self.dimensions), dtype=np.float32)]
        for start in range(0, len(texts), BATCH_TEXTS):
            part = texts[start : start + BATCH_TEXTS]
            vectors = np.asarray(self.post(part), dtype=np.float64)
            if vectors.shape != (len(part), self.dimensions) or not np.isfinite(vectors).all():
                raise EndpointError(
                    f"embedding model {self.name!r} answered {len(part)} texts with numbers of shape {vectors.shape}; "
                    f"({len(part)}, {self.dimensions}) finite ones were expected: check the endpoint's model and "
                    "dimensions"
                )
            parts.append(rounded(vectors))
        return np.concatenate(parts)

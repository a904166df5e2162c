"""Meaning of phrases and texts for zero-shot classification: WordLlama vectors without what only tells the language.

Unlike the vectors of `embedded.py` these carry no wording. Static vectors of texts in one language share a large
component, which makes a label such as "language" win for everything that is not English; the directions in which the
generic requests of `background.py` differ by language are therefore taken out, and words that `lexicon.toml` knows
are read in English.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from semtel_dagster.embedding.background import ENGLISH, LANGUAGES
from semtel_dagster.embedding.base import unit_rows
from semtel_dagster.embedding.embedded import summed
from semtel_dagster.embedding.lexicon import lexicon
from semtel_dagster.embedding.static_vectors import load_static_vectors

LANGUAGE_DIRECTIONS = 8
GLOSS_GAIN = 15.0  # a text of which one word in twenty is known is read by these words mostly
GLOSS_MOST = 0.75
DECIMALS = 9

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SemanticSpace:
    """Where meanings are compared.

    Attributes:
        centre: Mean vector of generic English requests, shape [d].
        directions: Orthonormal directions of language, shape [k, d].
    """

    centre: Floats
    directions: Floats

    def embed(self, texts: Sequence[str]) -> Floats:
        """Unit vectors, float64 of shape [len(texts), d]; each text's are the same whatever it comes with."""
        rows = self._centred(texts)
        glosses = [lexicon().gloss(text) for text in texts]
        weights = np.minimum(GLOSS_GAIN * np.array([share for _, share in glosses]), GLOSS_MOST)[:, None]
        rows = (1 - weights) * rows + weights * self._centred([words for words, _ in glosses])
        return np.round(unit_rows(rows), DECIMALS)

    def _centred(self, texts: Sequence[str]) -> Floats:
        rows = _plain(texts) - self.centre
        return unit_rows(rows - np.einsum("nk,kd->nd", np.einsum("nd,kd->nk", rows, self.directions), self.directions))

    def background(self) -> Floats:
        """The generic requests in this space."""
        return self.embed([*ENGLISH, *(text for texts in LANGUAGES.values() for text in texts)])


@cache
def semantic_space() -> SemanticSpace:
    """The space that the background defines, computed once per process.

    Raises:
        DependencyError: The token vectors are missing or another version.
    """
    centre = _plain(ENGLISH).mean(axis=0)
    languages = np.stack([_plain(texts).mean(axis=0) for texts in LANGUAGES.values()]) - centre
    return SemanticSpace(centre, np.linalg.svd(languages, full_matrices=False)[2][:LANGUAGE_DIRECTIONS])


def _plain(texts: Sequence[str]) -> Floats:
    vectors = load_static_vectors()
    return unit_rows(summed(vectors, vectors.token_ids([text.lower() for text in texts])))

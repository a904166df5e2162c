"""Chance in the place of a model: what a compressor by sentences does without one, and what one is measured against."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ChanceScorer:
    """A Scorer that finds a piece as surprising as a hash of it, its place and a seed says: from 0 to 1, evenly."""

    seed: int = 0

    def __call__(self, pieces: Sequence[str], wanted: Sequence[bool]) -> NDArray[np.float64]:
        """See `Scorer`."""
        names = [f"{self.seed} {place} {piece}".encode() for place, piece in enumerate(pieces)]
        found = np.array([int.from_bytes(hashlib.blake2b(name, digest_size=4).digest()) for name in names]) / 2**32
        return np.where(np.asarray(wanted, dtype=bool), found, np.nan)

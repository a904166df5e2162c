"""A sketch of a text's wording: signed counts of its hashed token shingles.

Each shingle (2 or 3 tokens in a row) adds the square root of its count, with a sign, to one
of the sketch's places, both chosen by its hash; scalar products of sketches then estimate those of the full shingle
vectors (Charikar, Chen and Farach-Colton 2002, "Finding frequent items in data streams"). Sums are of integers, so
they are exact in any order.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SIZES = (2, 3)
ROOT_SCALE = 256.0

_SENTINEL = np.int64(1 << 40)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SIGN_BIT = np.uint64(40)


def sketch(token_ids: npt.NDArray[np.int64], places: int) -> npt.NDArray[np.float64]:
    """The sketch of one text: float64 of shape [places], integer-valued, not normalised.

    Args:
        token_ids: The text's tokens in order; may be empty.
        places: Length of the sketch, a power of two.
    """
    hashes, counts = np.unique(np.concatenate([_shingle_hashes(token_ids, n) for n in SIZES]), return_counts=True)
    signs = 1.0 - 2.0 * ((hashes >> _SIGN_BIT) & np.uint64(1)).astype(np.float64)
    where = (hashes & np.uint64(places - 1)).astype(np.int64)
    return np.bincount(where, weights=signs * rooted(counts), minlength=places).astype(np.float64)


def rooted(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Square roots of counts in units of 1/256, so that sums of them are sums of integers."""
    roots: npt.NDArray[np.float64] = np.rint(np.sqrt(counts.astype(np.float64)) * ROOT_SCALE)
    return roots


def _shingle_hashes(token_ids: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.uint64]:
    """A hash per shingle; a text too short for one is a single shingle, filled up with sentinels."""
    filling = np.full(max(size - len(token_ids), 0), _SENTINEL)
    tokens = np.concatenate([token_ids, filling]).astype(np.uint64)
    length = len(tokens) - size + 1
    hashes = np.full(length, size, dtype=np.uint64)
    for offset in range(size):
        hashes = _mixed(hashes * _GOLDEN + tokens[offset : offset + length])
    return hashes


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))

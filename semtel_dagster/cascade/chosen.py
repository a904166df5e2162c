"""Shares of conversations chosen by hash: every engine, run and week chooses the same ones.

Belongs here: the one function from a content hash to a number. What the shares are for belongs to who asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

ASKED_ANYWAY = "asked anyway"
HELD_OUT = "held out"
TUNED_ON = "tuned on"
_RANGE = 2.0**64


def places(content_hashes: Iterable[str], purpose: str) -> npt.NDArray[np.float64]:
    """Where each conversation stands in [0, 1): uniform, and independent for different purposes."""
    key = purpose.encode()
    digests = (hashlib.blake2b(each.encode(), digest_size=8, key=key).digest() for each in content_hashes)
    return np.array([int.from_bytes(digest, "big") / _RANGE for digest in digests], dtype=np.float64)


def chosen(content_hashes: Iterable[str], share: float, purpose: str) -> npt.NDArray[np.bool_]:
    """Which conversations belong to a share; a larger share holds a smaller one of the same purpose."""
    return places(content_hashes, purpose) < share

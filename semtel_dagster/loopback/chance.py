"""Chance that repeats: numbers that are a hash of what they decide, so that no order of arrival changes them."""

from __future__ import annotations

from hashlib import blake2b


def unit(seed: int, name: str, key: bytes, call: int = 0) -> float:
    """A number in [0, 1) that is a hash of its arguments."""
    salt = b"%d:%s:%d:" % (seed, name.encode(), call)
    return int.from_bytes(blake2b(salt + key, digest_size=6).digest(), "big") / 2**48

"""Exact o200k token counts, offline: the one place where text becomes tokens.

Counts equal tiktoken's `o200k_base`, special tokens read as ordinary text. What to do with a text that has too
many belongs in `cutting` and `truncate`.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

ENCODING = "o200k_base"

Part = TypeVar("Part")

_LOADING = threading.RLock()  # functools.cache alone would let two threads load it


def count_tokens(text: str) -> int:
    """The number of tokens of a text without lone surrogates."""
    return int(_loaded(_encoding).count(text))


def token_ends(texts: Sequence[str]) -> list[NDArray[np.int64]]:
    """Where each token of each text ends, as byte offsets in its UTF-8; as many as the text has tokens.

    Args:
        texts: Texts without lone surrogates.
    """
    if not texts:
        return []
    tokens, offsets = _loaded(_encoding).encode_batch(list(texts), 1)
    lengths = _loaded(_token_lengths)[tokens]
    return [np.cumsum(lengths[first:last]) for first, last in itertools.pairwise(offsets)]


def _loaded(part: Callable[[], Part]) -> Part:
    with _LOADING:
        return part()


@functools.cache
def _encoding() -> Any:
    import quicktok

    return quicktok.get_encoding(ENCODING)


@functools.cache
def _token_lengths() -> NDArray[np.int64]:
    # token_byte_values() lists the vocabulary sorted by bytes, not by token, despite its documentation.
    encoding = _encoding()
    n_tokens = len(encoding.token_byte_values())
    return np.array([len(encoding.decode_single_token_bytes(token)) for token in range(n_tokens)], dtype=np.int64)

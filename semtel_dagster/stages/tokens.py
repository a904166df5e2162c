"""Exact o200k token counts, offline: the one place where text becomes tokens.

Counts equal tiktoken's `o200k_base`, special tokens read as ordinary text. What to do with a text that has too
many belongs in `cutting` and `truncate`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENCODING = "o200k_base"


def count_tokens(text: str) -> int:
    """The number of tokens of a text without lone surrogates."""
    return int(_encoding().count(text))


def token_ends(texts: Sequence[str], threads: int = 1) -> list[NDArray[np.int64]]:
    """Where each token of each text ends, as byte offsets in its UTF-8; as many as the text has tokens.

    Args:
        texts: Texts without lone surrogates.
        threads: How many threads count; the result is the same.
    """
    if not texts:
        return []
    tokens, offsets = _encoding().encode_batch(list(texts), threads)
    lengths = _token_lengths()[tokens]
    return [np.cumsum(lengths[first:last]) for first, last in itertools.pairwise(offsets)]


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

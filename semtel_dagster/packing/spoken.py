"""What a text says, whatever it is dressed in: without accents, look-alikes, gaps and codes; and where words stand.

Belongs here: texts as words on one line of bytes. What the words mean belongs in `screening`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

GAP = 256  # bytes between two texts on the line: more than between signs that belong together
MIXED_WORDS = 3  # with digits among their letters: more than a name or two
_UNSEEN = "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
_SPACED = r"\b(?:\w[ .\-_*|]{1,3}){7,}\w\b"
_BETWEEN_LETTERS = r"(?<=\w)[ .\-_*|](?=\w)"  # more than one stands between words
_MIXED = r"[a-z][013457@$]+[a-z]"
_DIGITS = {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s"}
_ENCODED = r"[A-Za-z0-9+/]{20,}={0,2}"

Places: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Spoken:
    """Texts as words alone, on one line of bytes.

    Attributes:
        texts: One space before each word and one at the end.
        starts: Where each text begins on the line, GAP bytes behind the one before.
    """

    texts: pl.Series
    starts: Places

    @classmethod
    def of(cls, plain: pl.Series) -> Spoken:
        """Of plain texts."""
        texts = spoken_words(plain)
        lengths = texts.str.len_bytes().to_numpy().astype(np.int64)
        return cls(texts, np.concatenate([[0], np.cumsum(lengths + GAP)[:-1]]))

    def places(self, words: Sequence[str]) -> Places:
        """Where any of the words stand, on the line."""
        if not words:
            return np.empty(0, dtype=np.int64)
        found = self.texts.str.find_many(list(words), overlapping=True)
        counts = found.list.len().to_numpy()
        offsets = found.filter(pl.Series(counts > 0)).explode().to_numpy().astype(np.int64)
        return np.sort(offsets + np.repeat(self.starts, counts))

    def have(self, places: Places) -> Mask:
        """Which texts have any of some places."""
        mask = np.zeros(len(self.texts), dtype=bool)
        mask[np.searchsorted(self.starts, places, side="right") - 1] = True
        return mask


def near(some: Places, others: Places, distance: int) -> Places:
    """Those of some places that have one of the others near them."""
    first, end = np.searchsorted(others, some - distance), np.searchsorted(others, some + distance, side="right")
    beside: Places = some[first < end]
    return beside


def plain_text(texts: pl.Series) -> pl.Series:
    """In lower case, without accents, quotes at the margin and characters that nobody sees."""
    seen = texts.str.replace_all(r"(?m)^> ", "").str.replace_all(_UNSEEN, "").str.normalize("NFKD")
    return seen.str.replace_all(r"\p{Mn}", "").str.to_lowercase()


def spoken_words(plain: pl.Series) -> pl.Series:
    """Words alone, one space before each and one at the end; also where the script changes."""
    apart = plain.str.replace_all(r"([^\x00-\x7f])([a-z0-9])", "$1 $2")
    apart = apart.str.replace_all(r"([a-z0-9])([^\x00-\x7f])", "$1 $2")
    return " " + apart.str.replace_all(r"[^\p{L}\p{M}\p{N}]+", " ").str.strip_chars() + " "


def hidden(written: pl.Series, plain: pl.Series) -> Iterable[tuple[NDArray[np.int64], pl.Series]]:
    """What single letters, letters as digits and base64 stand for, and in which texts."""
    mixed = (plain.str.count_matches(_MIXED) >= MIXED_WORDS).arg_true().to_numpy().astype(np.int64)
    if len(mixed):
        yield mixed, plain.gather(mixed).str.replace_many(_DIGITS)
    spaced = plain.str.extract_all(_SPACED).to_list()
    encoded = written.str.extract_all(_ENCODED).to_list()
    read = [
        (at, text)
        for at, (apart, codes) in enumerate(zip(spaced, encoded, strict=True))
        for text in chain((re.sub(_BETWEEN_LETTERS, "", each) for each in apart), map(_decoded, codes))
        if text
    ]
    if read:
        at, texts = zip(*read, strict=True)
        yield np.array(at), plain_text(pl.Series(texts, dtype=pl.String))


def _decoded(code: str) -> str:
    """The text behind base64; empty where it is none."""
    try:
        return base64.b64decode(code + "=" * (-len(code) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""

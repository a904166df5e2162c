"""Text in comparable form: one place that says which differences between spellings do not count.

Deciding which label a spelling means belongs in `matching`.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Zero-width and directional marks, soft hyphen, byte order mark, variation selectors, lone surrogates, controls.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ud800-\udfff"
    "\x00-\x08\x0e-\x1f\x7f]"
)
_BREAKS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NO_WORD = re.compile(r"[\W_]+")
_MINUS = str.maketrans({"\u2212": "-", "\u2012": "-", "\u2010": "-", "\u2011": "-", "\uff0d": "-"})

# Endings of English words, longest first; enough to see "created", "creating" and "creation" as one.
_ENDINGS = (
    "ations",
    "ation",
    "ings",
    "ing",
    "ions",
    "ion",
    "ies",
    "ied",
    "ors",
    "ers",
    "or",
    "er",
    "ed",
    "es",
    "s",
    "e",
    "y",
)
_SHORTEST_STEM = 4
_REMEMBERED_LENGTH = 200  # of texts whose comparable form is kept: keys, spellings and their parts come again and again


def clean(raw: str) -> str:
    r"""An answer without invisible characters, NFKC, line breaks as `\n`, no white space around it."""
    if raw.isascii() and raw.isprintable():  # none of the below is in it
        return raw.strip()
    text = _BREAKS.sub("\n", _INVISIBLE.sub("", raw))
    return unicodedata.normalize("NFKC", text).translate(_MINUS).strip()


def comparable(text: str) -> str:
    """Words in lower case, one space between them: no punctuation, no "and", no markup."""
    return _remembered(text) if len(text) <= _REMEMBERED_LENGTH else _comparable(text)


def _comparable(text: str) -> str:
    spaced = _CAMEL.sub(" ", clean(text)).casefold()
    words = _NO_WORD.sub(" ", unicodedata.normalize("NFKC", spaced)).split()
    return " ".join(word for word in words if word != "and") or " ".join(words)


_remembered = lru_cache(maxsize=8192)(_comparable)


def compact(text: str) -> str:
    """Comparable form without spaces, for names that are written together: `userExpertise`, `small-talk`."""
    return comparable(text).replace(" ", "")


def stemmed(text: str) -> str:
    """Comparable form with English endings taken off each word."""
    return " ".join(_stem(word) for word in comparable(text).split())


@lru_cache(maxsize=8192)
def _stem(word: str) -> str:
    if not word.isascii():
        return word
    while True:
        for ending in _ENDINGS:
            if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
                word = word[: -len(ending)]
                break
        else:
            return word

"""Reading `lexicon.toml`: English words for what a text in another language speaks of.

Words are found by dictionary: whole words and their beginnings, and in scripts without spaces runs of characters.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

SHORTEST_STEM = 3
CHARACTERS_OF_A_WORD = 2  # of Chinese or Japanese

_WORD = re.compile(r"[^\W\d_]+(?:[\u0900-\u097f]+[^\W\d_]*)*")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]+")


@dataclass(frozen=True)
class Lexicon:
    """Foreign words to English ones.

    Attributes:
        words: Whole words.
        stems: Beginnings of words.
        runs: Words of scripts without spaces, found anywhere.
        longest: Length of the longest of `runs`.
    """

    words: dict[str, str]
    stems: dict[str, str]
    runs: dict[str, str]
    longest: int

    def gloss(self, text: str) -> tuple[str, float]:
        """The English words of all that is found, as often as it is found, and the share of the words that was."""
        lowered = text.lower()
        found = [*self._spaced(lowered), *self._unspaced(lowered)]
        unspaced = sum(map(len, _UNSPACED.findall(lowered)))
        words = len(_WORD.findall(lowered)) + unspaced / CHARACTERS_OF_A_WORD
        return " ".join(found), len(found) / max(words, 1.0)

    def _spaced(self, text: str) -> Iterator[str]:
        for word in _WORD.findall(text):
            if word in self.words:
                yield self.words[word]
                continue
            beginnings = (word[:end] for end in range(len(word), SHORTEST_STEM - 1, -1))
            stem = next((each for each in beginnings if each in self.stems), None)
            if stem is not None:
                yield self.stems[stem]

    def _unspaced(self, text: str) -> Iterator[str]:
        for run in _UNSPACED.findall(text):
            for start in range(len(run)):
                for end in range(start + 1, min(start + self.longest, len(run)) + 1):
                    if run[start:end] in self.runs:
                        yield self.runs[run[start:end]]


@cache
def lexicon() -> Lexicon:
    """The lexicon that ships with the package; words that stand for two meanings are left out."""
    entries = tomllib.loads((files("semtel_dagster.embedding") / "lexicon.toml").read_text(encoding="utf-8"))
    meanings: dict[str, set[str]] = {}
    for english, foreign in entries.items():
        for word in foreign.split():
            meanings.setdefault(word, set()).add(english)
    clear = {word: next(iter(each)) for word, each in meanings.items() if len(each) == 1}
    runs = {word: gloss for word, gloss in clear.items() if _UNSPACED.fullmatch(word) and len(word) > 1}
    stems = {word[:-1]: gloss for word, gloss in clear.items() if word.endswith("*")}
    words = {
        word: gloss
        for word, gloss in clear.items()
        if not word.endswith("*") and not _UNSPACED.fullmatch(word) and len(word) >= SHORTEST_STEM
    }
    return Lexicon(words, stems, runs, max(map(len, runs), default=0))

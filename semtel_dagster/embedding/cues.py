"""Reading `cues.toml`: what someone does in a turn, by the words they use.

The words themselves are data there; what acts and signs mean for a label belongs in `tasks.py`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

SEEN_CHARACTERS = 600  # of a turn: what is asked stands at its beginning, what is pasted follows

_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True)
class CueSet:
    """Cues that show one thing.

    Attributes:
        name: Its name in the file.
        description: What it is, in English; empty for a sign.
        weight: How much a cue says; common ones say less.
        pattern: Matches any of the cues.
    """

    name: str
    description: str
    weight: float
    pattern: re.Pattern[str]

    def count(self, turns: Sequence[str], most: int) -> int:
        """How many different cues some turns have, at most `most`."""
        return min(len({cue for turn in turns for cue in self.pattern.findall(readable(turn))}), most)


@cache
def acts() -> tuple[CueSet, ...]:
    """The things a user may do, such as wanting something explained or made."""
    return tuple(_cue_set(name, entry) for name, entry in _file()["acts"].items())


@cache
def sign(name: str) -> CueSet:
    """The signs of content ("positive") or displeasure ("negative") with an answer."""
    return _cue_set(name, _file()["signs"][name])


def readable(text: str) -> str:
    """The beginning of a turn in lower case, without code blocks."""
    return _CODE.sub(" ", text)[:SEEN_CHARACTERS].lower().replace("’", "'")


def _file() -> dict[str, dict[str, dict[str, object]]]:
    return tomllib.loads((files("semtel_dagster.embedding") / "cues.toml").read_text(encoding="utf-8"))


def _cue_set(name: str, entry: dict[str, object]) -> CueSet:
    weight, cues = entry.get("weight", 1.0), entry["cues"]
    if not isinstance(weight, float) or not isinstance(cues, Sequence):
        raise TypeError(f"cues.toml: {name} has a weight or cues of the wrong type")
    pattern = re.compile("|".join(_expression(str(cue).lower()) for cue in sorted(cues, key=len, reverse=True)))
    return CueSet(name, str(entry.get("description", "")), weight, pattern)


def _expression(cue: str) -> str:
    """A cue as a pattern: whole words, unless it ends in "*" or its script has no spaces."""
    stem = cue.removesuffix("*")
    if _UNSPACED.search(stem):
        return re.escape(stem)
    before = r"(?<!\w)" if stem[:1].isalnum() else ""
    after = r"(?!\w)" if stem[-1:].isalnum() and stem == cue else ""
    return before + re.escape(stem) + after

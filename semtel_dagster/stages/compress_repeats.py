"""The rule `repeats`: lines that an earlier turn of the conversation has said already, quoted or not."""

from __future__ import annotations

import re

from semtel_dagster.stages.compress_words import beginning

MIN_CHARACTERS = 160  # of a repeated stretch
START_CHARACTERS = 16  # of the line that a stretch begins with, so that brackets and blank lines begin none
MOST_PLACES = 4  # earlier places of a line that are compared

_QUOTES = re.compile(r"^(?:> ?)+")
_FENCE = re.compile(r"^\s*(?:```|~~~)")

Places = dict[str, list[tuple[int, int]]]


def shorten_repeats(turns: list[list[str]]) -> list[list[str]]:
    """Replaces stretches of lines that stand in an earlier turn; code fences stay, so that blocks close."""
    if len(turns) < 2:
        return turns
    keys = [[_key(line) for line in lines] for lines in turns]
    places: Places = {}
    left = []
    for turn, lines in enumerate(turns):
        left.append(_shorten(lines, keys, turn, places))
        for place, key in enumerate(keys[turn]):
            if key is not None and len(key) >= START_CHARACTERS:
                earlier = places.setdefault(key, [])
                if len(earlier) < MOST_PLACES:
                    earlier.append((turn, place))
    return left


def _shorten(lines: list[str], keys: list[list[str | None]], turn: int, places: Places) -> list[str]:
    left: list[str] = []
    place = 0
    own = keys[turn]
    while place < len(lines):
        key = own[place]
        found = (0, 0, 0)
        for source, start in places.get(key, ()) if key is not None else ():
            n_lines, characters = _common(own, place, keys[source], start)
            found = max(found, (characters, n_lines, -source))
        characters, n_lines, source = found
        if characters < MIN_CHARACTERS:
            left.append(lines[place])
            place += 1
            continue
        noun = "line" if n_lines == 1 else "lines"
        left.append(f"[repeats {n_lines} {noun} of turn {1 - source}: {beginning(str(key))}]")
        place += n_lines
    return left


def _common(here: list[str | None], place: int, there: list[str | None], start: int) -> tuple[int, int]:
    """How many lines two places have in common, and their characters; it ends with a line that is not blank."""
    n_lines = characters = offset = 0
    limit = min(len(here) - place, len(there) - start)
    while offset < limit and (key := here[place + offset]) is not None and key == there[start + offset]:
        offset += 1
        if key:
            n_lines, characters = offset, characters + len(key)
    return n_lines, characters


def _key(line: str) -> str | None:
    """What is compared of a line: not the marks of a quote, nor what trails; None for a code fence."""
    return None if _FENCE.match(line) else _QUOTES.sub("", line).rstrip()

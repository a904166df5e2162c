r"""A turn's text in units that stay or go whole: sentences, parts of long ones, marks and blocks of code.

Every unit begins with the white space before it, so that a text is the units joined. No unit splits a sign (a letter
and its accent, a joined emoji), a block of code or a mark in square brackets. Choosing among units belongs in
`compress_sentences`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from semtel_dagster.stages.compress_patterns import blocks
from semtel_dagster.stages.cutting import belong_together

LEAST_BYTES = 24  # shorter ones go with what follows them on their line
MOST_CHARACTERS = 240
MARK_CHARACTERS = 160

_MARK = re.compile(r"\[(?:repeats \d|boilerplate, \d|\.\.\. \d).*\]")
_SENTENCE = re.compile(
    r"(?<![.!?…])[.!?…]+[\"')\]”’»]*(?=\s)"  # begins at a run's beginning: else it is quadratic in long runs
    r"|[。！？；｡।॥؟۔။።][\"'”’」』）》]?"
)
_CLAUSE = re.compile(r"[,;:)–—](?=\s)|[，、；：،؛]")
_SPACE = re.compile(r"(?=\s)")


@dataclass(frozen=True)
class Unit:
    """A part of a turn.

    Attributes:
        text: It, with the white space before it.
        mark: What stands in its place when it goes, if that is not dots: a block of code is named.
        fixed: Whether it must stay: a mark that says what stood there already.
    """

    text: str
    mark: str | None = None
    fixed: bool = False


def split_units(content: str) -> list[Unit]:
    """The units of a normalised text; joined, they are the text. White space alone is no unit of its own."""
    units = list(_units(content.split("\n")))
    if len(units) > 1 and not units[-1].text.strip():
        units[-2:] = [Unit(units[-2].text + units[-1].text, units[-2].mark, units[-2].fixed)]
    return units


def _units(lines: list[str]) -> Iterator[Unit]:
    pending = done = 0  # the line from which on blank ones wait for the unit that they stand before
    for opening, closing, language in [*blocks(lines), (len(lines), len(lines), "")]:
        for place in range(done, opening):
            if lines[place].strip():
                yield from _of_line(_lead(lines, pending, place), lines[place])
                pending = place + 1
        if opening < len(lines):
            done = min(closing + 1, len(lines))
            mark = f"[... {done - opening} lines of {language or 'code'} left out ...]"
            yield Unit(_lead(lines, pending, opening) + "\n".join(lines[opening:done]), mark)
            pending = done
    if pending < len(lines):
        yield Unit(_lead(lines, pending, len(lines) - 1) + lines[-1])


def _lead(lines: list[str], first: int, place: int) -> str:
    """What stands between a unit that ended before a line and the beginning of another line."""
    return ("\n" if first else "") + "".join(f"{line}\n" for line in lines[first:place])


def _of_line(lead: str, line: str) -> Iterator[Unit]:
    if _MARK.fullmatch(line):
        yield Unit(lead + line, fixed=True)
        return
    for text in _parts(line):
        yield Unit(lead + text)
        lead = ""


def _parts(line: str) -> Iterator[str]:
    start = 0
    for match in _SENTENCE.finditer(line):
        end = match.end()
        if end < len(line) and len(line[start:end].encode()) >= LEAST_BYTES and _may_end(line, end):
            yield from _short(line, start, end)
            start = end
    yield from _short(line, start, len(line))


def _short(line: str, start: int, behind: int) -> Iterator[str]:
    while behind - start > MOST_CHARACTERS:
        end = _last(_CLAUSE, line, start) or _last(_SPACE, line, start) or start + MOST_CHARACTERS
        while end < behind and not _may_end(line, end):
            end += 1
        yield line[start:end]
        start = end
    if start < behind:
        yield line[start:behind]


def _last(sign: re.Pattern[str], line: str, start: int) -> int:
    """The last place behind a sign in the second half of what a unit may hold; 0 if there is none."""
    found = sign.finditer(line, start + MOST_CHARACTERS // 2, start + MOST_CHARACTERS)
    return max((match.end() for match in found), default=0)


def _may_end(text: str, end: int) -> bool:
    """Whether a unit may end here: neither within a sign nor within square brackets."""
    if belong_together(text[end - 1], text[end]):
        return False
    opened = text.rfind("[", max(0, end - MARK_CHARACTERS), end)
    return opened < 0 or "]" in text[opened:end] or "]" not in text[end : end + MARK_CHARACTERS]

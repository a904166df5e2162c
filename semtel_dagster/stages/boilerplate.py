"""Boilerplate of a week: paragraphs that many of its conversations open or close with, such as a system prompt.

Belongs here: naming paragraphs by hashes, counting the hashes on the engine, shortening what is known. Only hashes and
counts leave the rows, and of these only the commonest come into this process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import narwhals as nw
import pyarrow as pa

from semtel_dagster.engines.base import Engine, Frame
from semtel_dagster.stages.compress_words import beginning
from semtel_dagster.stages.messages import turns_of
from semtel_dagster.transcript import Turn, normalise

MIN_CHARACTERS = 80  # shorter ones are greetings: people mean them
MOST_KNOWN = 10_000

PARAGRAPHS = pa.schema([("paragraph", pa.int64())])  # 8 bytes: millions are counted


def find(sampled: Frame, conversations: int, engine: Engine) -> frozenset[int]:
    """The names of the paragraphs that at least so many conversations open or close with.

    Args:
        sampled: Conversations with a column `messages`; read once, at once.
        conversations: The least number.
        engine: Names and counts the paragraphs.

    Returns:
        The commonest MOST_KNOWN, the same on every engine.
    """
    named = engine.map_batches(sampled.select("messages"), NameParagraphs(), PARAGRAPHS)
    counted = named.group_by("paragraph").agg(conversations=nw.len()).filter(nw.col("conversations") >= conversations)
    commonest = counted.sort("conversations", "paragraph", descending=[True, False]).head(MOST_KNOWN)
    return frozenset(commonest.select("paragraph").collect(backend="pyarrow").get_column("paragraph").to_list())


@dataclass(frozen=True)
class NameParagraphs:
    """The row function of `find`: one row for each different paragraph of a conversation."""

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches of conversations to batches of paragraph names."""
        for batch in batches:
            names = [name for turns in turns_of(batch.column("messages")) for name in sorted(set(_names(turns)))]
            yield pa.RecordBatch.from_arrays([pa.array(names, pa.int64())], schema=PARAGRAPHS)


def shorten_boilerplate(turns: list[list[str]], roles: list[str], known: frozenset[int]) -> list[list[str]]:
    """Replaces known paragraphs of the opening and closing messages by their first words."""
    if not known:
        return turns
    places = _places(roles)
    return [_shorten(lines, known) if place in places else lines for place, lines in enumerate(turns)]


def _shorten(lines: list[str], known: frozenset[int]) -> list[str]:
    left: list[str] = []
    end = 0
    for first, last in _paragraphs(lines):
        text = _text(lines[first:last])
        if len(text) >= MIN_CHARACTERS and _name(text) in known:
            left += [*lines[end:first], f"[boilerplate, {len(text)} characters: {beginning(text)}]"]
            end = last
    return [*left, *lines[end:]]


def _names(turns: list[Turn]) -> Iterator[int]:
    for place in _places([turn.role for turn in turns]):
        lines = normalise(turns[place].content).split("\n")
        texts = (_text(lines[first:last]) for first, last in _paragraphs(lines))
        yield from (_name(text) for text in texts if len(text) >= MIN_CHARACTERS)


def _places(roles: list[str]) -> set[int]:
    """The messages that may hold boilerplate: the system's, the first of anybody else, and the last."""
    places = {place for place, role in enumerate(roles) if role == "system"}
    places |= {next((place for place, role in enumerate(roles) if role != "system"), 0), len(roles) - 1}
    return places if roles else set()


def _paragraphs(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Stretches of lines without a blank one."""
    first = None
    for place, line in enumerate([*lines, ""]):
        if line.strip():
            first = place if first is None else first
        elif first is not None:
            yield first, place
            first = None


def _text(lines: Iterable[str]) -> str:
    return "\n".join(line.rstrip() for line in lines)


def _name(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)

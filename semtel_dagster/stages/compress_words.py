"""The first words of a text, for marks that stand in its place."""

from __future__ import annotations

from semtel_dagster.stages.cutting import belong_together

WORDS, CHARACTERS = 8, 60


def beginning(text: str) -> str:
    """A text's first words on one line, at most 60 characters, with dots where it goes on; no character is split."""
    head = text[: 8 * CHARACTERS].split()
    return first_characters(" ".join(head[:WORDS]), CHARACTERS) + ("…" if len(text) > CHARACTERS else "")


def first_characters(text: str, most: int) -> str:
    """At most so many code points of a text, ending where a letter and its accents or a joined emoji end."""
    end = min(most, len(text))
    while 0 < end < len(text) and belong_together(text[end - 1], text[end]):
        end -= 1
    return text[:end]

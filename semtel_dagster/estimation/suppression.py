"""Disclosure control: which cells of a table of counts may be published, and which are pooled.

What is estimated about the published cells belongs in `shares.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from semtel_dagster.settings import AggregateSettings

SUPPRESSED = "(suppressed)"
ALL = "all"

Key: TypeAlias = tuple[str, str]  # segment, label


class Count(NamedTuple):
    """How many conversations and distinct users a cell has."""

    n: int
    n_users: int


def hidden_cells(
    counts: Mapping[Key, tuple[int, int]], small_users: Mapping[str, int], thresholds: AggregateSettings
) -> frozenset[Key]:
    """Chooses the cells of one task that go into their segment's "(suppressed)" row.

    A cell under the thresholds is hidden. More are hidden with it, the smallest first, until nothing hidden can be
    had by subtraction from what is published:

    - within a segment, whose total is known, at least two cells are hidden and together reach the thresholds
      (if no cell is left to join, the whole segment is one row);
    - across the segments of one column, whose sum for a label is the label's cell in "all", never exactly one
      is hidden; and if "all" is shown, those hidden together reach the minimum of conversations.

    Args:
        counts: Conversations and distinct users of each cell that has any, by (segment, label). Segments are "all"
            or "<column>=<value>".
        small_users: Distinct users of each segment's cells under the thresholds, taken together.
        thresholds: The least that a published cell must have.

    Returns:
        The hidden cells; none if every cell reaches the thresholds.
    """
    cells = {key: Count(*count) for key, count in counts.items()}
    hidden = {key for key, count in cells.items() if not _met(count, thresholds)}
    before = -1
    while before != len(hidden):
        before = len(hidden)
        for segment in sorted({segment for segment, _ in cells}):
            row = [key for key in cells if key[0] == segment]
            _hide_until_pool_holds(row, cells, small_users.get(segment, 0), thresholds, hidden)
        for line in _lines(cells):
            _hide_until_line_holds(line, cells, thresholds, hidden)
    return frozenset(hidden)


def _met(count: Count, thresholds: AggregateSettings) -> bool:
    return count.n >= thresholds.min_conversations and count.n_users >= thresholds.min_users


def _hide_until_pool_holds(
    row: list[Key], counts: Mapping[Key, Count], small_users: int, thresholds: AggregateSettings, hidden: set[Key]
) -> None:
    while pool := [key for key in row if key in hidden]:
        users = max(small_users, *(counts[key].n_users for key in pool))
        together = Count(sum(counts[key].n for key in pool), users)
        if (len(pool) > 1 and _met(together, thresholds)) or not _hide_smallest(row, counts, hidden):
            return


def _hide_until_line_holds(
    line: list[Key], counts: Mapping[Key, Count], thresholds: AggregateSettings, hidden: set[Key]
) -> None:
    while pool := [key for key in line if key in hidden]:
        total_is_hidden = any(segment == ALL for segment, _ in pool)
        enough = total_is_hidden or sum(counts[key].n for key in pool) >= thresholds.min_conversations
        if (len(pool) > 1 and enough) or not _hide_smallest(line, counts, hidden):
            return


def _hide_smallest(cells: list[Key], counts: Mapping[Key, Count], hidden: set[Key]) -> bool:
    """Hides the smallest cell still shown; false if there is none."""
    shown = [key for key in cells if key not in hidden]
    if shown:
        hidden.add(min(shown, key=lambda key: (counts[key].n, key[0] == ALL, key)))
    return bool(shown)


def _lines(counts: Mapping[Key, Count]) -> Iterator[list[Key]]:
    """The cells of one label over one column's segments, with the label's cell in "all"."""
    columns = sorted({segment.split("=", 1)[0] for segment, _ in counts if segment != ALL})
    for label in sorted({label for _, label in counts}):
        for column in columns:
            line = [key for key in counts if key[1] == label and key[0].startswith(f"{column}=")]
            if line:
                yield sorted([*line, (ALL, label)] if (ALL, label) in counts else line)

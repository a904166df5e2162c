"""Limits that an endpoint announces in its replies' headers, believed as far as they deserve.

Belongs here: what an announcement says at most. Reading headers belongs in `reply`, learning a rate in `rate`.
"""

from __future__ import annotations

from math import inf

IN_A_ROW = 3
LEAST_FACTOR, MOST_FACTOR = 0.25, 4.0
SETTLED_S = 5.0


class Announced:
    """One budget's announced limit.

    The number itself may describe a 10-second window, a pool that others share, or nothing real. A change of it is
    worth more than its value: a wrong window or a constant lie cancels out in the ratio of new to old. So a changed
    limit, once several replies in a row tell it, scales what was learned; the value alone is only a second opinion
    while nothing is learned yet, and lowers a guess, never raises it.
    """

    __slots__ = ("_changed_at", "_limit", "_seen", "_times")

    def __init__(self) -> None:
        """Nothing was announced."""
        self._limit = self._seen = 0.0
        self._times = 0
        self._changed_at = -inf

    @property
    def per_second(self) -> float:
        """What the limit would be, taken by its word; infinite while none was announced."""
        return self._limit / 60 if self._limit else inf

    def take(self, limit: float, now: float) -> float:
        """Takes a reply's announcement in.

        Args:
            limit: Units per minute, by its word.
            now: The clock, in seconds.

        Returns:
            The factor by which what was learned should change; 1 nearly always.
        """
        self._times = self._times + 1 if limit == self._seen else 1
        self._seen = limit
        if limit == self._limit or self._times < IN_A_ROW:
            return 1.0
        before, self._limit = self._limit, limit
        restless = now - self._changed_at < SETTLED_S
        self._changed_at = now
        if not before or restless:
            return 1.0
        return min(max(limit / before, LEAST_FACTOR), MOST_FACTOR)

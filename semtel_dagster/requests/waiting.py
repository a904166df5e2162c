"""Rows that wait for a call: in line, or for their own time.

Belongs here: the order. Which call they get belongs in `rotation`.
"""

from __future__ import annotations

import heapq
from collections import deque
from math import inf
from random import Random

from semtel_dagster.requests.row import Row

FIRST_BACKOFF_S = 0.25
LONGEST_BACKOFF_S = 20.0
PROBE_CHOICE = 256


class Waiting:
    """The line, and the rows that join its head at a later time."""

    def __init__(self, random: Random | None = None) -> None:
        """Starts empty."""
        self.ready: deque[Row] = deque()
        self._later: list[tuple[float, int, Row]] = []
        self._sequence = 0
        self._random = random or Random()

    def __len__(self) -> int:
        return len(self.ready) + len(self._later)

    @property
    def next_at(self) -> float:
        """The clock's time when the next row joins the line; infinite when none will."""
        return self._later[0][0] if self._later else inf

    def call_up(self, now: float) -> None:
        """Puts the rows whose time has come at the head of the line."""
        while self._later and self._later[0][0] <= now:
            self.ready.appendleft(heapq.heappop(self._later)[2])

    def take_for_probe(self) -> Row:
        """Takes out the row that tells most about an endpoint that is out: the one that has failed least."""
        near = range(min(len(self.ready), PROBE_CHOICE))
        best = min(near, key=lambda at: (self.ready[at].suspect, self.ready[at].tries))
        row = self.ready[best]
        del self.ready[best]
        return row

    def again(self, row: Row) -> None:
        """Back to the head of the line."""
        self.ready.appendleft(row)

    def after(self, row: Row, at: float) -> None:
        """Keeps a row until that time of the clock."""
        self._sequence += 1
        heapq.heappush(self._later, (at, self._sequence, row))

    def back_off(self, row: Row, now: float) -> None:
        """Full jitter (Brooker 2015) by the row's tries, of which there is at least one when one failed."""
        longest = min(FIRST_BACKOFF_S * 2.0 ** max(row.tries - 1, 0), LONGEST_BACKOFF_S)
        self.after(row, now + self._random.uniform(0.0, longest))

    def drain(self) -> list[Row]:
        """Takes out every row."""
        rows = [*self.ready, *(row for _, _, row in self._later)]
        self.ready.clear()
        self._later.clear()
        return rows

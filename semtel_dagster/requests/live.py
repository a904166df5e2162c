"""The figures of a run while it lasts: what the engine counts, with what the journal answered and how fast it goes.

Belongs here: when to show, and the rate. Counting belongs in `engine`, showing in the command line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from semtel_dagster.requests.figures import Figures
from semtel_dagster.requests.lookup import Lookup

PROGRESS_S = 1.0
RATE_WINDOW_S = 10.0

Progress = Callable[[Figures], None]


class LiveFigures:
    """Calls `on_progress` about once a second, in the thread that calls `show`."""

    def __init__(self, on_progress: Progress | None, total: int | None, clock: Callable[[], float] = monotonic) -> None:
        """Starts the clock; `total` is the number of rows in all, if known."""
        self._on_progress, self._total, self._clock = on_progress, total, clock
        self._began = self._shown_at = clock()
        self._pace: deque[tuple[float, int]] = deque([(self._began, 0)])

    def show(self, asked: Callable[[], Figures], lookup: Lookup, *, final: bool = False) -> None:
        """Shows the figures when a second has passed, or at the end in any case."""
        now = self._clock()
        if self._on_progress is None or (not final and now - self._shown_at < PROGRESS_S):
            return
        self._shown_at = now
        self._on_progress(self._together(asked(), lookup, now))

    def _together(self, asked: Figures, lookup: Lookup, now: float) -> Figures:
        done = asked.done + lookup.found
        self._pace.append((now, done))
        while len(self._pace) > 2 and self._pace[0][0] < now - RATE_WINDOW_S:
            self._pace.popleft()
        since, before = self._pace[0]
        return replace(
            asked,
            done=done,
            total=self._total,
            answered=asked.answered + lookup.found - lookup.failed,
            failed=asked.failed + lookup.failed,
            from_journal=lookup.found,
            seconds=now - self._began,
            rate=(done - before) / max(now - since, 1e-6),
        )

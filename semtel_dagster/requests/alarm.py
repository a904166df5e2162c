"""One timer of the loop, set to the earliest time that anybody asks for.

Belongs here: the timer. What is done when it rings belongs in `engine`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

LEAST_S = 0.001


class Alarm:
    """Calls a function at the earliest time asked for since it last did."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        """Is not set yet."""
        self._loop = loop
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._at = inf

    def set(self, at: float, now: float) -> None:
        """Rings at that time of the clock, or earlier if it is already set so; infinite: no wish."""
        if at == inf or (self._timer is not None and self._at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._at = at
        self._timer = self._loop.call_later(max(at - now, LEAST_S), self._fire)

    def _fire(self) -> None:
        self._timer, self._at = None, inf
        self._ring()

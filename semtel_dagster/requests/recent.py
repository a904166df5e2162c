"""How fast units went within the last second.

Belongs here: the count. What it says about a limit belongs in `rate`.
"""

from __future__ import annotations

from collections import deque

SPAN_S = 1.0
STEP_S = 0.1
LEAST_SPAN_S = 0.2


class RecentRate:
    """Units of the last second, in tenths."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        """Starts with nothing."""
        self._steps: deque[list[float]] = deque()

    def add(self, now: float, units: float) -> None:
        """Counts units that went."""
        steps = self._steps
        if steps and now - steps[-1][0] < STEP_S:
            steps[-1][1] += units
            return
        steps.append([now, units])
        while steps[0][0] < now - SPAN_S - STEP_S:
            steps.popleft()

    def take_back(self, units: float) -> None:
        """Uncounts units that went a moment ago and were refused."""
        if self._steps:
            self._steps[-1][1] -= units

    def per_second(self, now: float) -> float:
        """Units per second."""
        inside = [(at, units) for at, units in self._steps if at >= now - SPAN_S]
        return sum(units for _, units in inside) / max(now - inside[0][0], LEAST_SPAN_S) if inside else 0.0

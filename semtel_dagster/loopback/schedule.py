"""Which phase of a script is in force, and what quota a client could have used at best.

The arithmetic of time only; what a phase does to limits and faults belongs to their modules.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from semtel_dagster.loopback.script import Phase, Script

ALWAYS = Phase(at_s=0.0)


class Clock:
    """Seconds since the script began: at its start, or at the first call."""

    def __init__(self, time: Callable[[], float], *, running: bool) -> None:
        self._time = time
        self._zero = time() if running else None

    def begin(self) -> None:
        """Starts the clock unless it runs."""
        if self._zero is None:
            self._zero = self._time()

    def seconds(self) -> float:
        """The time; 0 before the clock runs."""
        return 0.0 if self._zero is None else self._time() - self._zero


class Schedule:
    """The phases of a script by time since its clock began."""

    def __init__(self, phases: tuple[Phase, ...]) -> None:
        self._phases = (ALWAYS, *phases) if not phases or phases[0].at_s > 0 else phases
        self._starts = [phase.at_s for phase in self._phases]
        self._current = self._phases[0]
        self._until = self._end(0)

    def at(self, seconds: float) -> Phase:
        """The phase in force so many seconds after the clock began; times do not go back."""
        if seconds >= self._until:
            index = bisect_right(self._starts, seconds) - 1
            self._current = self._phases[index]
            self._until = self._end(index)
        return self._current

    def _end(self, index: int) -> float:
        return self._starts[index + 1] if index + 1 < len(self._starts) else float("inf")


def quota(script: Script, start_s: float, end_s: float) -> float:
    """Requests that the limits admit between two times of the clock, bursts left out; inf without a limit.

    What an oracle that knows limits and schedule could get: rate x capacity, summed over the phases that are up.
    """
    per_minute = script.limits.requests_per_minute
    if per_minute is None:
        return float("inf")
    phases = (ALWAYS, *script.phases)
    ends = [*(phase.at_s for phase in phases[1:]), float("inf")]
    total = 0.0
    for phase, end in zip(phases, ends, strict=True):
        overlap = min(end, end_s) - max(phase.at_s, start_s)
        if overlap > 0 and phase.down is None:
            total += overlap * per_minute / 60.0 * phase.capacity
    return total

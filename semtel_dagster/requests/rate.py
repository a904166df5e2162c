"""A rate that is known, or learned from what an endpoint accepts and refuses.

Belongs here: how fast calls (or tokens) may go to one endpoint, as pure arithmetic on a clock that the caller reads.
Waiting and headers do not.
"""

from __future__ import annotations

from collections import deque
from math import inf

HEADROOM = 0.995
CUT = 0.03
CALLS_BETWEEN_PROBES = 220
SHORTEST_HOLD_S = 3.0
LONGEST_HOLD_S = 20.0
DOUBLING_S = 2.0
BURST_S = 0.1
RECENT_S = 1.0


class LearnedRate:
    """A token bucket whose rate follows the endpoint's limit.

    Until the first refusal nothing is known and nothing is held back (the adaptive concurrency ramps up). A refusal
    says that the endpoint's bucket is empty; what it accepted between two such moments, divided by the time between
    them, is its rate, whatever the size of its bucket. From there the rate moves as in TCP CUBIC (Ha, Rhee, Xu 2008):
    a small cut, back to the learned plateau, a long hold around it, then faster and faster beyond it, so that a quota
    that grew is found within seconds while probing costs few refusals. The hold is long enough that a probe comes
    once in some 200 calls. Time counts only while the rate is what holds calls back.

    Several processes on one endpoint meet refusals in proportion to what they send, so the greedier one is cut more
    often: they drift to equal shares.
    """

    __slots__ = (
        "_accepted",
        "_age",
        "_burst_trust",
        "_cap",
        "_event",
        "_event_at",
        "_last",
        "_level",
        "_plateau",
        "_recent",
        "_resumed_at",
    )

    def __init__(self, per_minute: float | None = None, tasks: int = 1) -> None:
        """Starts from a configured limit per minute, shared with so many tasks, or from nothing known."""
        self._cap = per_minute / 60 * HEADROOM if per_minute else inf
        self._plateau = self._cap / tasks
        self._age = self._hold
        self._level = 1.0
        self._last = 0.0
        self._recent: deque[list[float]] = deque()
        self._accepted = 0.0
        self._event_at: float | None = None
        self._event: tuple[float, float, float] | None = None
        self._resumed_at = -inf
        self._burst_trust = 0.5

    @property
    def rate(self) -> float:
        """Units per second that may go now; infinite while nothing is known."""
        if self._plateau == inf:
            return inf
        phase = self._age / self._hold - 1
        factor = 1 + CUT * min(phase, 1.0) ** 3
        if phase > 1:
            factor *= 2 ** ((phase - 1) * self._hold / DOUBLING_S)
        return float(min(self._plateau * factor, self._cap))

    @property
    def _hold(self) -> float:
        if self._plateau in (inf, 0.0):
            return SHORTEST_HOLD_S
        return min(max(CALLS_BETWEEN_PROBES / self._plateau, SHORTEST_HOLD_S), LONGEST_HOLD_S)

    def wait(self, now: float) -> float:
        """Seconds until the next unit may go; 0 when it may go now."""
        if self._plateau == inf:
            return 0.0
        self._refill(now)
        return 0.0 if self._level > 0 else -self._level / self.rate + 1e-4

    def spend(self, now: float, units: float) -> None:
        """Takes units; the level may fall below zero, which later calls wait for."""
        self._accepted += units
        if self._recent and now - self._recent[-1][0] < RECENT_S / 10:
            self._recent[-1][1] += units
        else:
            self._recent.append([now, units])
            while self._recent[0][0] < now - RECENT_S * 1.1:
                self._recent.popleft()
        if self._plateau != inf:
            self._level -= units

    def give_back(self, units: float) -> None:
        """Returns units that were taken and not used; negative when more was used than taken."""
        self._accepted -= units
        if self._plateau != inf:
            self._level += units

    def refuse(self, units: float, *, new_event: bool, now: float) -> None:
        """Takes a refusal in: its units were not accepted, and the first of an event moves the rate.

        Args:
            units: What the refused call had taken.
            new_event: False for further calls that were already under way when the event began.
            now: The clock, in seconds.
        """
        self._accepted -= units
        if self._event is not None:
            elapsed, accepted, recent = self._event
            self._event = (elapsed, accepted - units, recent - units)
        if not new_event or self._event is not None:
            return
        recent = self._recently(now) - units / RECENT_S
        elapsed = now - self._event_at if self._event_at is not None else 0.0
        self._event = (elapsed, self._accepted, recent)
        self._event_at = now
        self._accepted = 0.0
        if now - self._resumed_at < 1.0:
            self._burst_trust *= 0.5

    def resume(self, now: float, paused: float, unit: float = 1.0) -> None:
        """Ends an event after its pause: sets the new plateau, and grants what the endpoint refilled meanwhile.

        Args:
            now: The clock, in seconds.
            paused: For how long calls were held back, in seconds.
            unit: The usual size of a call, in units.
        """
        if self._event is None:
            return
        elapsed, accepted, recent = self._event
        self._event = None
        exploring = self._plateau == inf or self.rate > self._plateau * (1 + 2 * CUT)
        measured = accepted / elapsed if elapsed > 0 else 0.0
        if exploring or elapsed < 0.25 or accepted < 8 * unit:
            learned = max(recent, measured, unit / 10)
            if not exploring:
                learned = min(learned, self.rate)
        else:
            learned = max(measured, unit / 10)
        self._plateau = min(learned, self._cap)
        self._age = 0.0
        self._last = now
        self._level = self.rate * min(paused, 2.0) * self._burst_trust
        self._resumed_at = now
        self._burst_trust = min(1.0, self._burst_trust + 0.1)

    def _refill(self, now: float) -> None:
        passed = now - self._last
        if passed <= 0:
            return
        rate = self.rate
        depth = max(1.0, rate * BURST_S)
        if self._level < depth:
            self._age += min(passed, 1.0)
            self._level = min(self._level + passed * rate, depth)
        self._last = now

    def _recently(self, now: float) -> float:
        window = [units for at, units in self._recent if at >= now - RECENT_S]
        oldest = next((at for at, _ in self._recent if at >= now - RECENT_S), now)
        return sum(window) / max(now - oldest, 0.2)

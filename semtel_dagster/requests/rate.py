"""A rate that is known, or learned from what an endpoint accepts and refuses.

Belongs here: how fast calls (or tokens) may go to one endpoint, as pure arithmetic on a clock that the caller reads.
Waiting and headers do not.
"""

from __future__ import annotations

from math import inf

from semtel_dagster.requests.growth import CUT, cubic, measured_time
from semtel_dagster.requests.recent import RecentRate

HEADROOM = 0.997
CALLS_BETWEEN_PROBES = 220
SHORTEST_HOLD_S = 3.0
LONGEST_HOLD_S = 15.0
LOST_SHARE = 0.03
BURST_S = 0.1
LEAST_ACCEPTED = 4
UNSURE_CUT = 0.6
BEYOND = 1.08
SHARED_CUT = 0.15
REGAIN_S = 5.0
LEAST_REGAIN_CALLS = 70
REGAIN_RATE = 50.0
SMALL_STEP = 0.985
MIDDLE_STEP = 0.9
LARGE_STEP = 0.85
HALF = 0.5
STEADY = 0.1
LONGEST_CREDIT_S = 2.0


class LearnedRate:
    """A token bucket whose rate follows the endpoint's limit.

    Until the first refusal nothing is known and nothing is held back (the adaptive concurrency ramps up). A refusal
    says that the endpoint's bucket is empty; what it accepted between two such moments, divided by the time between
    them, is its rate, whatever the size of its bucket or window. From there the rate moves as in TCP CUBIC (Ha, Rhee,
    Xu 2008): a small cut, back to the learned plateau, a hold, then faster and faster beyond it, so that a quota that
    grew is found within seconds while a probe comes only once in some 300 calls. Where a refusal costs a long pause
    the hold is longer. Time counts only while the rate is what holds calls back.

    What the endpoint refilled during a pause may be sent at once afterwards, as far as that went well before: a
    bucket allows it, a window of one second does not. Where several processes share the endpoint, the others have used
    it meanwhile.

    Several processes on one endpoint step down by a share of what they send and step up by nearly equal amounts.
    Refusals meet the greedier one more often, so they drift to equal shares (Chiu, Jain 1989).
    """

    __slots__ = (
        "_accepted", "_age", "_cap", "_credit", "_early", "_event", "_last", "_level",
        "_lone", "_lost", "_often", "_owed", "_plateau", "_recent", "_resumed_at", "_since",
        "_steady", "_sure", "_tasks", "_trust", "_unused",
    )  # fmt: skip

    def __init__(self, per_minute: float | None = None, tasks: int = 1) -> None:
        """Starts from a configured limit per minute, shared with so many tasks, or from nothing known."""
        self._cap = per_minute / 60 * HEADROOM if per_minute else inf
        self._plateau = self._cap / tasks
        self._tasks = tasks
        self._lost = 0.0
        self._early = 0
        self._lone = self._often = False
        self._steady = True
        self._age = self._hold
        self._level = 1.0
        self._last = 0.0
        self._recent = RecentRate()
        self._accepted = 0.0
        self._since: tuple[float, float] | None = None
        self._event: list[float] | None = None
        self._resumed_at = -inf
        self._trust = 0.5
        self._sure = self._plateau < inf
        self._unused = self._credit = self._owed = 0.0

    @property
    def rate(self) -> float:
        """Units per second that may go now; infinite while nothing is known."""
        if self._plateau == inf:
            return inf
        if self._tasks > 1:
            return min(self._plateau * (1 + SHARED_CUT * self._age / self._regain_s), self._cap)
        return min(self._plateau * cubic(self._age, self._hold), self._cap)

    @property
    def known(self) -> bool:
        """Whether a limit is known or learned."""
        return self._plateau < inf

    @property
    def at_limit(self) -> bool:
        """Whether calls go about as fast as the learned limit, or faster, so that a refusal is no surprise."""
        return self._plateau < inf and (self._tasks > 1 or self._age > self._hold / 2)

    @property
    def _hold(self) -> float:
        if self._plateau in (inf, 0.0):
            return SHORTEST_HOLD_S
        by_calls = min(CALLS_BETWEEN_PROBES / self._plateau, LONGEST_HOLD_S)
        full = max(by_calls, min(self._lost / LOST_SHARE, 2 * LONGEST_HOLD_S), SHORTEST_HOLD_S)
        return full if self._steady else max(full / 8, SHORTEST_HOLD_S / 3)

    @property
    def _regain_s(self) -> float:
        """Seconds in which a process with others regains what a refusal cost it: longer for the larger share.

        So the increase is nearly additive, which is what brings shares together; few calls set a bound to it.
        """
        pace = REGAIN_S * (max(self._plateau, 0.01) / REGAIN_RATE) ** 0.5
        return float(min(max(pace, LEAST_REGAIN_CALLS / max(self._plateau, 0.01)), LONGEST_HOLD_S))

    def wait(self, now: float) -> float:
        """Seconds until the next unit may go; 0 when it may go now."""
        if self._plateau == inf:
            return 0.0
        self._refill(now)
        return 0.0 if self._level > 0 else -self._level / (2 * self.rate if self._owed else self.rate) + 1e-4

    def spend(self, now: float, units: float) -> None:
        """Takes units; the level may fall below zero, which later calls wait for."""
        self._accepted += units
        self._recent.add(now, units)
        if self._plateau != inf:
            self._level -= units

    def give_back(self, units: float) -> None:
        """Returns units that were taken and not used; negative when more was used than taken."""
        self._accepted -= units
        if self._plateau != inf:
            self._level += units

    def ease(self) -> None:
        """Lowers the rate by a little, for a refusal that may be a stray."""
        self._plateau *= SMALL_STEP

    def scale(self, factor: float) -> None:
        """The endpoint announced that its limit changed by a factor."""
        if self._plateau != inf:
            self._plateau = min(self._plateau * factor, self._cap)

    def refuse(self, units: float, *, new_event: bool, now: float, lone: bool = False, often: bool = False) -> None:
        """Takes a refusal in: its units were not accepted, and the first of an event says that the bucket is empty.

        Args:
            units: What the refused call had taken.
            new_event: False for further calls that were already under way when the event began.
            now: The clock, in seconds.
            lone: Whether speed alone speaks for a limit: such an event lowers the rate by a little at most.
            often: Whether the endpoint often refuses by chance, so that what is measured says less.
        """
        self._accepted -= units
        self._recent.take_back(units)
        if self._event is not None:
            self._event[1] -= units
        elif new_event:
            self._lone, self._often = lone, often
            self._event = [now, self._recent.per_second(now)]
            if self._credit > units and now - self._resumed_at < 1.0 + 3 * self._credit / self.rate:
                self._trust *= 0.5

    def resume(self, now: float, unit: float = 1.0) -> None:
        """Ends an event after its pause: sets the new plateau, and grants what the endpoint refilled meanwhile.

        Args:
            now: The clock, in seconds.
            unit: The usual size of a call, in units.
        """
        if self._event is None:
            return
        event_at, recent = self._event
        self._event = None
        elapsed = measured_time(self._since, event_at, now, self._unused)
        enough = elapsed >= 0.25 and self._accepted >= LEAST_ACCEPTED * unit
        measured = self._accepted / elapsed if enough else 0.0
        early = self._is_early(event_at)
        if self._plateau == inf:
            self._learn(event_at, now, max(recent, unit / 10), sure=False)
        elif self._tasks > 1:
            self._learn(event_at, now, self.rate * (1 - SHARED_CUT), sure=True)
        elif self.rate > self._plateau * (1 + CUT):
            least = SMALL_STEP**2 * self._plateau if self._often else max(measured, self._plateau)
            self._learn(event_at, now, max(recent, least), sure=False)
        elif enough and early > 2 and self._lone:
            self._learn(event_at, now, self._plateau * BEYOND, sure=True)
        elif enough:
            self._learn(event_at, now, max(measured, self._plateau * self._lowest_step), sure=True)
        elif not self._sure and self._accepted >= unit:
            self._plateau *= UNSURE_CUT
        paused = min(now - event_at, LONGEST_CREDIT_S)
        credit = paused * self._trust if self._sure and self._tasks == 1 else 0.0
        self._unused += paused - credit
        self._lost += 0.3 * (paused - credit - self._lost)
        self._age = 0.0
        self._last = self._resumed_at = now
        self._credit = self._owed = self.rate * credit
        self._level = 0.0
        if credit:
            self._trust = min(1.0, self._trust + 0.1)

    @property
    def _lowest_step(self) -> float:
        """The least factor of the plateau that one event may leave: the weaker the sign, the smaller the step."""
        if self._lone:
            return SMALL_STEP if self._sure else MIDDLE_STEP
        if self._often:
            return LARGE_STEP
        return HALF if self._sure else HALF**2

    def _is_early(self, event_at: float) -> int:
        """How often in a row a refusal came though less than the plateau was sent and all of it accepted.

        A limit does that once, when it drops; refusals that come by chance, or for another reason than the rate, do it
        again and again, and lowering the rate for them would end in a crawl.
        """
        active = event_at - self._resumed_at
        accepted = (self._accepted - self._credit) / active if active > 0 else 0.0
        self._early = self._early + 1 if self._age < self._hold and accepted > 0.85 * self.rate else 0
        return self._early

    def _learn(self, event_at: float, now: float, plateau: float, *, sure: bool) -> None:
        self._steady = sure and abs(plateau - self._plateau) < STEADY * self._plateau
        self._plateau = min(plateau, self._cap)
        self._sure = sure
        self._unused = 0.0
        self._since = (event_at, now)
        self._accepted = 0.0

    def _refill(self, now: float) -> None:
        passed = now - self._last
        if passed <= 0:
            return
        rate = self.rate
        depth = max(1.0, rate * BURST_S)
        if self._level < depth:
            self._age += min(passed, 1.0)
            extra = min(self._owed, passed * rate)  # twice the rate until what is owed has gone, never all at once
            self._owed -= extra
            self._level = min(self._level + passed * rate + extra, depth)
        self._last = now

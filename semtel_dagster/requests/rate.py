"""A rate that is known, or learned from what an endpoint accepts and refuses.

Belongs here: how fast calls (or tokens) may go to one endpoint, as pure arithmetic on a clock that the caller reads.
Waiting and headers do not.
"""

from __future__ import annotations

from math import inf, log

from semtel_dagster.requests.bucket import TokenBucket
from semtel_dagster.requests.growth import CUT, DOUBLING_S, cubic, regain_s, shared
from semtel_dagster.requests.measuring import ENOUGH_S, QuotaMeasure
from semtel_dagster.requests.recent import RecentRate

HEADROOM = 0.997
CALLS_BETWEEN_PROBES = 80
SHORTEST_HOLD_S = 2.0
LONGEST_HOLD_S = 15.0
FAST = 100.0  # units per second, from where on the shortest hold decides how many go between two probes
LOST_SHARE = 0.03
DOUBLING_CALLS = 10.0
IDLE_S = 0.5  # after so long without a call it is not the rate that holds calls back
LEAST_ACCEPTED, ENOUGH_ACCEPTED = 4.0, 16.0
ENOUGH_ACCEPTED_S = 0.16
UNSURE_CUT = 0.6
UNSURE_LEAST = 0.1
GROWN = 1.05
SHARED_CUT = 0.2
SHARED_MEMORY = 0.05
FIRST_BETWEEN = 150.0
SMALL_STEP = 0.985
AGREEING = 1.02
LARGER_STEP = 1.03
NEARLY = 0.85
HALF = 0.5
STEADY = 0.1
LONGEST_CREDIT_S = 2.0


class LearnedRate:
    """The rate of a token bucket, which follows the endpoint's limit.

    Until the first refusal nothing is known and nothing is held back (the adaptive concurrency ramps up). A refusal
    says that the endpoint's quota is used up; what it accepted between two such moments is its rate, whatever the size
    of its bucket or window (see `measuring`). From there the rate moves as in TCP CUBIC (Ha, Rhee, Xu 2008): a small
    cut, back to the learned plateau, a hold, then faster and faster beyond it, so that a quota that grew is found
    within seconds while a probe costs one refusal in some 200 calls. An event beyond the plateau at which no more than
    the plateau was accepted confirms it; more means that the quota grew. Where a refusal costs a long pause the hold
    is longer. Time counts only while the rate is what holds calls back.

    What the endpoint refilled during a pause is made up for (see `bucket`), but where windows forget it, and where
    other processes have used it meanwhile.

    Several processes on one endpoint step down by a share of what they send and step up by nearly equal amounts.
    Refusals meet the greedier one more often, so they drift to equal shares (Chiu, Jain 1989).
    """

    __slots__ = (
        "_age", "_believes", "_between", "_bucket", "_cap", "_doubted", "_event", "_floor", "_lost", "_measure",
        "_plateau", "_recent", "_scaled_from", "_spent_at", "_steady", "_steady_plateau", "_sure", "_tasks", "_unused",
    )  # fmt: skip

    def __init__(self, per_minute: float | None = None, tasks: int = 1) -> None:
        """Starts from a configured limit per minute, shared with so many tasks, or from nothing known."""
        self._cap = per_minute / 60 * HEADROOM if per_minute else inf
        self._plateau = self._cap / tasks
        self._tasks = tasks
        self._lost = 0.0
        self._steady = True
        self._age = self._hold
        self._bucket = TokenBucket()
        self._recent = RecentRate()
        self._measure = QuotaMeasure()
        self._event: list[float] | None = None
        self._spent_at = -inf
        self._sure = self._plateau < inf
        self._floor = self._steady_plateau = self._scaled_from = 0.0
        self._believes = True
        self._doubted = 0.0
        self._between = FIRST_BETWEEN
        self._unused = 0.0

    @property
    def rate(self) -> float:
        """Units per second that may go now; infinite while nothing is known."""
        if self._plateau == inf:
            return inf
        if self.shared:
            return min(self._plateau * shared(self._age / self._regain_s, SHARED_CUT), self._cap)
        doubling = max(DOUBLING_S, DOUBLING_CALLS / max(self._plateau, 0.01))
        return min(self._plateau * cubic(self._age, self._hold, doubling), self._cap)

    @property
    def of_all(self) -> float:
        """Units per second that all may send who share the limit, if they have equal shares."""
        return self.rate * self._tasks

    @property
    def known(self) -> bool:
        """Whether a limit is known or learned."""
        return self._plateau < inf

    @property
    def shared(self) -> bool:
        """Whether other processes use the endpoint, too."""
        return self._tasks > 1

    @property
    def among_strangers(self) -> bool:
        """Whether some of them are not known, so that all have to answer to the same signs."""
        return self.shared

    @property
    def at_limit(self) -> bool:
        """Whether calls go about as fast as the learned limit, or faster, so that a refusal is no surprise."""
        return self._plateau < inf and (self.shared or self._age > self._hold / 2)

    @property
    def told(self) -> bool:
        """Whether the settings name the limit."""
        return self._cap < inf

    @property
    def calls_between(self) -> float:
        """Units that usually go between two events once the limit is known."""
        if self._plateau == inf:
            return CALLS_BETWEEN_PROBES
        by_time = (self._plateau - FAST) * SHORTEST_HOLD_S
        return max(min(CALLS_BETWEEN_PROBES, self._plateau * LONGEST_HOLD_S), by_time)

    @property
    def _hold(self) -> float:
        if self._plateau in (inf, 0.0):
            return SHORTEST_HOLD_S
        by_calls = min(CALLS_BETWEEN_PROBES / self._plateau, LONGEST_HOLD_S)
        full = max(by_calls, min(self._lost / LOST_SHARE, 2 * LONGEST_HOLD_S), SHORTEST_HOLD_S)
        return full if self._steady else max(full / 8, SHORTEST_HOLD_S / 3)

    @property
    def _regain_s(self) -> float:
        """Seconds in which a process with others regains what a refusal cost it."""
        return regain_s(self._plateau, self._between)

    def recent(self, now: float) -> float:
        """Units per second that went a moment ago, less what was refused."""
        return self._recent.per_second(now)

    def wait(self, now: float) -> float:
        """Seconds until the next unit may go; 0 when it may go now."""
        if self._plateau == inf:
            return 0.0
        self._refill(now)
        return self._bucket.wait(self.rate)

    def spend(self, now: float, units: float) -> None:
        """Takes units; the level may fall below zero, which later calls wait for."""
        self._measure.accepted += units
        self._recent.add(now, units)
        self._spent_at = now
        if self._plateau != inf:
            self._bucket.level -= units

    def give_back(self, units: float) -> None:
        """Returns units that were taken and not used; negative when more was used than taken."""
        self._measure.accepted -= units
        if self._plateau != inf:
            self._bucket.level += units

    def ease(self) -> None:
        """Lowers the rate by a little, for a refusal that may be a stray."""
        self._plateau *= SMALL_STEP

    def believe_recent(self) -> None:
        """Raises the learned limit to what was just accepted: refusals by chance had lowered it."""
        if self._plateau < inf:
            self._plateau = min(max(self._plateau, self._recent.per_second(self._spent_at)), self._cap)

    def trust_what_was_told(self) -> None:
        """Back to the limit that the settings name, if they name one."""
        if self.told:
            self._plateau = self._cap

    def scale(self, factor: float) -> None:
        """The endpoint announced that its limit changed by a factor; one that did not come true is the last believed.

        What counts is the plateau before the change: refusals may have told of it already.
        """
        if self._plateau == inf or not self._believes:
            return
        before = self._steady_plateau or self._plateau
        self._plateau = self._steady_plateau = min(before * factor, self._cap)
        self._scaled_from = before
        self._measure.forget()

    def _judge_announcement(self) -> None:
        """Whether the last announced change is nearer to what was measured since than no change at all."""
        announced, measured = self._steady_plateau, self._plateau
        if self._scaled_from and announced and measured:
            self._believes = abs(log(measured / announced)) <= abs(log(measured / self._scaled_from))
        self._scaled_from = 0.0

    def refuse(self, units: float, *, new_event: bool, now: float) -> None:
        """Takes a refusal in: its units were not accepted, and the first of an event says that the bucket is empty.

        Args:
            units: What the refused call had taken.
            new_event: False for further calls that were already under way when the event began.
            now: The clock, in seconds.
        """
        self._measure.accepted -= units
        self._recent.take_back(units)
        if self._event is not None:
            self._event[1] -= units
        elif new_event:
            self._event = [now, self._recent.per_second(now)]
            self._bucket.refuse(now, units, self.rate)

    def resume(self, now: float, unit: float = 1.0, most: float = inf) -> None:
        """Ends an event after its pause: sets the new plateau, and grants what the endpoint refilled meanwhile.

        Args:
            now: The clock, in seconds.
            unit: The usual size of a call, in units.
            most: What the endpoint says its limit is, in units per second: it lowers the first guess.
        """
        if self._event is None:
            return
        event_at, recent = self._event
        self._event = None
        elapsed = self._measure.seconds(event_at, now, self._unused)
        achieved = self._measure.accepted / elapsed if elapsed >= ENOUGH_S else None
        least = max(LEAST_ACCEPTED * unit, min(ENOUGH_ACCEPTED * unit, ENOUGH_ACCEPTED_S * self._plateau))
        enough = achieved is not None and self._measure.accepted >= least
        measured = achieved if achieved is not None and enough else 0.0
        if self._plateau == inf:
            self._learn(event_at, now, min(max(recent, unit / 10), most), sure=False)
        elif self.shared:
            self._between += SHARED_MEMORY * (self._measure.accepted / unit - self._between)
            self._learn(event_at, now, self._cut(achieved), sure=True)
        elif self._sure and not self._measure.begun:
            self._measure.begin(event_at, now)
        elif (beyond := self.rate > self._plateau * (1 + CUT)) and not (enough and measured <= GROWN * self._plateau):
            self._floor = max(measured, self._plateau)
            self._learn(event_at, now, max(recent, self._floor), sure=False)
        elif enough:
            if beyond and self._measure.by_windows:  # earlier windows were not used up, so the quota is more
                measured = max(measured, min(recent, self._plateau * LARGER_STEP))
            self._learn(event_at, now, self._believed(measured), sure=True)
        elif not self._sure and self._measure.accepted >= unit:
            few = 2 * self._measure.accepted / elapsed if elapsed else inf
            least = max(self._floor, min(few, self._plateau * UNSURE_CUT), self._plateau * UNSURE_LEAST)
            self._plateau = min(least, self._plateau)
        self._age = 0.0
        paused = min(now - event_at, LONGEST_CREDIT_S)
        refilled = self._sure and not self.shared and not self._measure.by_windows
        made_up = self._bucket.resume(now, unit, paused if refilled else 0.0, self.rate)
        expired = 0.0 if self._measure.by_windows else paused - made_up
        self._unused += expired
        self._lost += 0.3 * (expired - self._lost)

    def _cut(self, achieved: float | None) -> float:
        """What an event leaves to a process with others, whatever it achieved since the last one."""
        return self.rate * (1 - SHARED_CUT)

    def _believed(self, measured: float) -> float:
        """The plateau by a measurement.

        Pauses that were too long make it too low and nothing makes it too high, so a little less is believed step by
        step, and the whole of it once the next measurement agrees. An event leaves half at least, or a quarter of what
        was no more than a guess.
        """
        before, self._doubted = self._doubted, measured
        if not self._sure:
            return max(measured, self._plateau * HALF**2, self._floor * SMALL_STEP)
        if before / AGREEING < measured < before * AGREEING:
            return max(measured, before)
        least = SMALL_STEP if measured > NEARLY * self._plateau else HALF
        return max(measured, self._plateau * least)

    def _learn(self, event_at: float, now: float, plateau: float, *, sure: bool) -> None:
        about = max(STEADY, 1.5 / max(self._measure.accepted, 1.0))
        self._steady = sure and abs(plateau - self._plateau) < about * self._plateau
        self._plateau = min(plateau, self._cap)
        self._sure = sure
        self._unused = 0.0
        if sure:
            self._floor = 0.0
            self._judge_announcement()
            self._steady_plateau = self._plateau if self._steady else self._steady_plateau
        self._measure.begin(event_at, now)

    def _refill(self, now: float) -> None:
        rate, last = self.rate, self._bucket.at
        if self._bucket.refill(now, rate):
            self._age += max(0.0, min(now, self._spent_at + max(IDLE_S, 2 / rate)) - last)

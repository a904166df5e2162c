"""Whether an endpoint refuses because of a limit, or a part of the calls at any rate: a trial tells.

Belongs here: when a trial is due, and its verdict. What follows from it belongs in `limiter`, telling single refusals
apart in `suspicion`.
"""

from __future__ import annotations

from enum import Enum
from math import inf

FIRST_CALLS, MOST_REFUSED_FIRST = 8, 6
CALLS, MOST_REFUSED = 16, 10
MOST_BEFORE = 64
EXPLAINED = 0.6
MOST_MEANWHILE = 1.0
PATIENT = 2.0
SHORT = 0.7
FADE = 0.8
USED_UP = 0.7
USUAL_FADE = 0.85
DUE = 2.9
PATIENCE = 4.0
MOST_PATIENCE = 1e6


class Verdict(Enum):
    """What a trial has shown so far."""

    OPEN = "open"
    LIMIT = "limit"
    CHANCE = "chance"


class Trial:
    """Sends a few calls as fast as they go, and looks how many are refused after the first refusal.

    A learned limit is met once in a while, well beyond it. Where event follows event after a few calls, each lowering
    the rate further, either the quota has all but gone or the endpoint refuses a part of the calls whatever the rate,
    and the events were mistakes. Beyond a limit one refusal follows the other, since nothing is left; by chance the
    next call is accepted as probably as any other. So calls count from the first refusal on: what a bucket still holds
    goes before. And they tell something only if they went clearly faster than the learned limit refills: half-way there
    is a wait for refusals, but not where it would let the limit refill, and never one for answers. A trial that meets a
    limit costs ten to twenty refusals, and the next one then waits four times as long.
    """

    __slots__ = (
        "_accepted",
        "_before",
        "_due",
        "_from",
        "_last",
        "_pace",
        "_passed",
        "_patience",
        "_refused",
        "_sent",
        "_since",
        "_usual",
    )

    def __init__(self) -> None:
        """No trial is due."""
        self._due = self._usual = 0.0
        self._patience = 1.0
        self._since = self._from = self._last = inf
        self._pace = 0.0
        self._before = self._passed = self._sent = self._accepted = self._refused = 0

    @property
    def due(self) -> bool:
        """Whether the next call should begin one."""
        return not self.under_way and self._due >= DUE * self._patience

    @property
    def under_way(self) -> bool:
        """Whether one is."""
        return self._since < inf

    def wait(self, now: float) -> float:
        """Seconds until the next of its calls may go; infinite while what comes of those that were sent is awaited."""
        if self._from == inf:
            return inf if self._before - self._passed >= FIRST_CALLS else 0.0
        if self._sent == FIRST_CALLS and self._pace * self._answers_in_s < MOST_MEANWHILE:
            return max(self._last + PATIENT * self._answers_in_s - now, 0.0)
        return inf if self._sent >= CALLS else 0.0

    @property
    def share_refused(self) -> float:
        """Of the calls that counted in the last trial."""
        return self._refused / max(self._refused + self._accepted, 1)

    def event(self, calls: int, usual: float) -> None:
        """An event began.

        Args:
            calls: Sent since the one before. None but the last refused: its quota is still used up.
            usual: As many as usually go between two where the limit is known.
        """
        self._usual = max(usual, USUAL_FADE * self._usual)
        if calls <= 1:
            self._due = max(self._due - USED_UP, 0.0)
        elif calls < SHORT * self._usual:
            self._due = self._due * (FADE if self._patience == 1.0 else 1.0) + 1.0
        else:
            self._due /= 2

    def begin(self, now: float, pace: float) -> None:
        """The calls from now on belong to it.

        Args:
            now: The clock, in seconds.
            pace: Calls per second that the learned limit lets through, from all who share it.
        """
        self._since, self._from = now, inf
        self._pace = pace
        self._before = self._passed = self._sent = self._accepted = self._refused = 0

    def send(self, now: float) -> None:
        """A call goes."""
        if self._from == inf:
            self._before += 1
        else:
            self._sent += 1
            self._last = now

    def concerns(self, sent_at: float) -> bool:
        """Whether a call that was sent then belongs to a trial that is under way."""
        return sent_at >= self._since

    def accept(self, sent_at: float) -> Verdict:
        """One of its calls was accepted."""
        if sent_at >= self._from:
            self._accepted += 1
        elif self._from == inf:
            self._passed += 1
        return self._judge()

    def refuse(self, now: float, sent_at: float) -> Verdict:
        """One of its calls was refused."""
        if sent_at >= self._from:
            self._refused += 1
        elif self._from == inf:
            self._from = now
        return self._judge()

    def release(self, sent_at: float) -> None:
        """One of its calls ended without a verdict about limits; another one may go."""
        if sent_at >= self._from:
            self._sent -= 1
        else:
            self._before -= 1

    @property
    def _answers_in_s(self) -> float:
        """Seconds in which a refusal comes back, as the first one did."""
        return self._from - self._since

    @property
    def _a_limit_explains(self) -> bool:
        """Whether the learned limit refills so fast that it would have let about as many of them through."""
        return self._pace * (self._last - self._from) > EXPLAINED * self._accepted

    def _judge(self) -> Verdict:
        verdict = Verdict.OPEN
        ends = self._from == inf and self._passed >= MOST_BEFORE  # nothing was refused: there is nothing to tell apart
        if self._refused > (MOST_REFUSED_FIRST if self._sent <= FIRST_CALLS else MOST_REFUSED):
            self._patience = min(self._patience * PATIENCE, MOST_PATIENCE)
            verdict = Verdict.LIMIT
        elif self._refused + self._accepted >= CALLS:
            ends = True
            if not self._a_limit_explains:
                self._patience = 1.0
                verdict = Verdict.CHANCE
        if ends or verdict is Verdict.LIMIT:
            self._since, self._due = inf, 0.0
        return verdict

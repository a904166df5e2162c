"""What a task takes of the endpoints' budgets while others of its team use them too.

Belongs here: a share that follows who is there, and rates that come together. How tasks find each other belongs in
`team`, how a rate is learned in `rate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from statistics import fmean, median
from typing import Protocol

from semtel_dagster.requests.limiter import Limiter
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.requests.rate import LONGEST_REGAIN_S, LearnedRate
from semtel_dagster.requests.team import Member, Team, View

SLOWER = 3.0
FAR = 2.0


class Limited(Protocol):
    """An endpoint with its budgets."""

    limiter: Limiter


class SharedRate(LearnedRate):
    """A rate of one task of a team.

    Until all tasks have come, as `LearnedRate` for so many tasks. Then a limit that was told is divided exactly among
    the tasks that work, and is not tried beyond. A learned one moves to the mean of what they send: it need no longer
    be regained fast so that shares come together, and who goes leaves its share to the others.
    """

    __slots__ = ("_exact", "_found", "_working")

    def __init__(self, per_minute: float | None, tasks: int, team_tasks: int) -> None:
        """Starts from a configured limit per minute, shared with so many tasks, some or all of them of this team."""
        super().__init__(per_minute, tasks)
        self._exact = self._cap if tasks == team_tasks else inf
        self._working = team_tasks
        self._found = False

    def share(self, working: int, others: Sequence[float]) -> None:
        """Takes in that all have come, how many of them work, and at what rates some of the others send."""
        before, self._working = self._working, working
        if self._exact < inf:
            if working != before or not self._found:
                self._cap = self._plateau = self._exact / working
        elif self._plateau < inf:
            factor = before / working if before != working else _usual([self.rate, *others]) / self.rate
            self._plateau = min(self._plateau * factor, self._cap)
        self._found = True

    @property
    def _regain_s(self) -> float:
        usual = super()._regain_s
        return min(SLOWER * usual, max(LONGEST_REGAIN_S, usual)) if self._found else usual


def _usual(rates: Sequence[float]) -> float:
    """The mean of known rates. One that is far from most, as in a trial of its limit, counts for nothing."""
    known = [rate for rate in rates if 0 < rate < inf]
    middle = median(known)
    near = [rate for rate in known if middle / FAR <= rate <= middle * FAR]
    return fmean(near if 2 * len(near) > len(known) else known)


class Sharing:
    """Keeps the rates of a task's endpoints in step with its team."""

    def __init__(self, team: Team, plan: RequestPlan, endpoints: Sequence[Limited]) -> None:
        """Comes to the team; the endpoints, in the plan's order, get rates that are shared."""
        self._team = team
        self._rates: list[SharedRate] = []
        for settings, endpoint in zip(plan.endpoints, endpoints, strict=True):
            limits = settings.requests_per_minute, settings.tokens_per_minute
            rates = [SharedRate(limit, plan.parallel_tasks, team.tasks) for limit in limits]
            endpoint.limiter.requests, endpoint.limiter.tokens = rates
            self._rates += rates
        self._member = Member(team)
        self._next = -inf
        self._left = False

    def look(self, now: float) -> None:
        """Looks who is there, if it is time to."""
        if now < self._next or self._left:
            return
        self._next = now + self._team.beat_s
        view = self._member.look([rate.rate for rate in self._rates])
        if view.complete:
            self._take(view)

    def leave(self) -> None:
        """Nothing more to send: the others may have this task's share."""
        if not self._left:
            self._left = True
            self._member.leave()

    def _take(self, view: View) -> None:
        for number, rate in enumerate(self._rates):
            rate.share(view.working, [told[number] for told in view.told])

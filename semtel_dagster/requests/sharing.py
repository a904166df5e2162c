"""What a process takes of its endpoints' budgets while others that it knows of use them too.

Belongs here: a share that follows who is there, and limits that come together. How processes find each other belongs
in `team` and `meeting`, how a rate is learned in `rate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from math import inf
from statistics import fmean, median
from typing import Protocol

from semtel_dagster.requests.growth import LONGEST_REGAIN_S
from semtel_dagster.requests.limiter import Limiter
from semtel_dagster.requests.meeting import meeting_of
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.requests.rate import HALF, LearnedRate
from semtel_dagster.requests.team import BEAT_S, Member, Team, View
from semtel_dagster.settings import EndpointSettings

SLOWER = 3.5
SURPRISED = 0.5  # of the time that regaining takes
LOWERED = 0.97
MOST_REGAIN_CALLS = 600.0
LEAST_REGAIN_S = 4.0
FAR = 2.0


class Limited(Protocol):
    """An endpoint with its budgets."""

    limiter: Limiter


class SharedRate(LearnedRate):
    """A rate of one process among others that it may come to know of.

    What they tell each other is the limit as each sees it: what all may send together, however many they are. That
    stays the same when one comes or goes, so it does not matter who notices first. Each takes its part of the mean of
    these. A limit that was told is divided exactly, and is not tried beyond. A learned one need no longer be regained
    fast so that shares come together. Who is alone, and knows of nobody else, has a `LearnedRate`.
    """

    __slots__ = ("_alike", "_call", "_found", "_strangers", "_whole")

    def __init__(self, per_minute: float | None, tasks: int, *, alike: bool = False) -> None:
        """Starts from a configured limit per minute, shared with so many tasks.

        Args:
            per_minute: The limit, if the settings name it.
            tasks: How many share it.
            alike: Whether all take every refusal for a sign, as the tasks of a step do: few are wasted on a trial.
        """
        super().__init__(per_minute, tasks)
        self._whole = self._cap
        self._alike = alike
        self._strangers = tasks > 1
        self._call = 1.0
        self._found = False

    @property
    def among_strangers(self) -> bool:
        """Whether all have to answer to the same signs, as where some who share the endpoint are not members."""
        return self._strangers

    @property
    def at_limit(self) -> bool:
        """Whether a refusal is no surprise; among members, who even out what each makes of it, not at once."""
        if self._found and not self._strangers:
            return self.known and self._age > SURPRISED * self._regain_s
        return super().at_limit

    @property
    def limit(self) -> float:
        """What all may send together, as far as this one knows; infinite while it knows nothing, or just guesses."""
        if not self._sure:
            return inf
        return min(self.rate * self._tasks, self._whole) if self.shared else self._plateau

    def share(self, now: float, working: int, everyone: int, told: Sequence[float]) -> None:
        """Takes in who is there.

        Args:
            now: The clock, in seconds.
            working: Members of the team that work, this one too.
            everyone: They and those who are said to be there, but in no team of this process.
            told: The limit as some of the others see it.
        """
        known = [limit for limit in (self.limit, *told) if 0 < limit < inf]
        more, changed = everyone > self._tasks, everyone != self._tasks
        self._found = working > 1
        self._strangers = self._alike or everyone > working
        self._tasks = everyone
        self._cap = self._whole / working if everyone == working else self._whole
        if not known or not (told or changed):
            return
        rate = min(_usual(known) / everyone, self._cap)
        if changed or not self._sure or not self._plateau:
            self._begin(rate)
        elif rate < LOWERED * self.rate:  # another one has met the limit
            self._plateau, self._age = rate, 0.0
        else:
            self._plateau *= rate / self.rate
        if more and self._spent_at == -inf:
            self._wait_for_the_others(now)

    def resume(self, now: float, unit: float = 1.0, most: float = inf) -> None:
        """Ends an event, as `LearnedRate` does."""
        self._call = unit
        super().resume(now, unit, most)

    def _begin(self, rate: float) -> None:
        """Goes on from a rate that others know, or that was learned when more or fewer were there."""
        self._plateau = rate
        self._sure, self._steady = True, False
        self._measure.forget()
        self._age = 0.0 if self.shared else self._hold
        self._bucket.forget_pause()

    def _wait_for_the_others(self, now: float) -> None:
        """A newcomer owes what goes until the others have seen it, and give way."""
        self._bucket.owe(now, self.rate * BEAT_S)

    def _cut(self, achieved: float | None) -> float:
        """What an event leaves; all together achieve the limit, so whoever got little has to tell the others."""
        usual = super()._cut(achieved)
        return max(min(achieved, usual), self.rate * HALF) if self._found and achieved is not None else usual

    @property
    def _regain_s(self) -> float:
        """Slower than among strangers, but for no more than some hundred calls: a limit taken too low costs as well."""
        usual = super()._regain_s
        if not self._found:
            return usual
        longest = max(MOST_REGAIN_CALLS * self._call / max(self._plateau, 0.01), LEAST_REGAIN_S)
        return min(SLOWER * usual, max(LONGEST_REGAIN_S, usual), longest)


def _usual(limits: Sequence[float]) -> float:
    """The mean. One that is far from most, as in a trial of its limit, counts for nothing."""
    middle = median(limits)
    near = [limit for limit in limits if middle / FAR <= limit <= middle * FAR]
    return fmean(near if 2 * len(near) > len(limits) else limits)


class Sharing:
    """Keeps a process's rates in step with one team."""

    def __init__(
        self,
        team: Team,
        parallel_tasks: int,
        settings: Sequence[EndpointSettings],
        endpoints: Sequence[Limited],
        beside: Executor | None = None,
    ) -> None:
        """Gives the endpoints rates that are shared.

        Comes to the team at once where that waits for it, else at the first look: a process that has nothing to ask
        about takes no share.

        Args:
            team: Who shares them.
            parallel_tasks: How many tasks are said to, some or all of them of this team.
            settings: Of the endpoints, in their order.
            endpoints: What is shared.
            beside: One thread, for a folder that may be slow; unset: whoever looks waits for it.
        """
        self._team = team
        self._parallel_tasks = parallel_tasks
        self._rates: list[SharedRate] = []
        for each, endpoint in zip(settings, endpoints, strict=True):
            limits = each.requests_per_minute, each.tokens_per_minute
            rates = [SharedRate(limit, parallel_tasks, alike=team.tasks is not None) for limit in limits]
            endpoint.limiter.requests, endpoint.limiter.tokens = rates
            self._rates += rates
        self._member = Member(team) if team.tasks else None
        self._beside = beside
        self._looking: Future[View] | None = None
        self._next = -inf
        self._left = False

    def look(self, now: float) -> None:
        """Looks who is there, if it is time to. Only the first look, before any call, is waited for."""
        if self._left:
            return
        if self._looking is None and now >= self._next:
            self._looking = self._begin_to_look(now)
        if self._looking is not None and self._looking.done():
            view, self._looking = self._looking.result(), None
            if view.complete:
                self._take(view, now)

    def _begin_to_look(self, now: float) -> Future[View]:
        first = self._next == -inf
        self._member = self._member or Member(self._team)
        self._next = now + self._member.beat_s
        told = [rate.limit for rate in self._rates]
        if self._beside is not None and not first:
            return self._beside.submit(self._member.look, told)
        done = Future[View]()
        done.set_result(self._member.look(told))
        return done

    def leave(self) -> None:
        """Nothing more to send: the others may have this one's share."""
        if not self._left and self._member is not None:
            if self._beside is None:
                self._member.leave()
            else:  # after a look that is under way, which would come back to the folder
                self._beside.submit(self._member.leave)
        self._left = True

    def _take(self, view: View, now: float) -> None:
        everyone = self._everyone(view.working)
        for number, rate in enumerate(self._rates):
            rate.share(now, view.working, everyone, [told[number] for told in view.told])

    def _everyone(self, working: int) -> int:
        """Who shares the endpoints: those that are seen, and those that are said to be there besides."""
        if self._team.tasks is None:
            return max(self._parallel_tasks, working)
        return working * self._parallel_tasks // self._team.tasks


def meet(plan: RequestPlan, endpoints: Sequence[Limited], beside: Executor | None = None) -> tuple[Sharing, ...]:
    """With whom a plan's endpoints, in its order, are shared: its own team, or whoever shares its journal and one."""
    if plan.team is not None:
        return (Sharing(plan.team, plan.parallel_tasks, plan.endpoints, endpoints, beside),)
    return tuple(
        Sharing(meeting_of(plan.journal, settings), plan.parallel_tasks, [settings], [endpoint], beside)
        for settings, endpoint in zip(plan.endpoints, endpoints, strict=True)
        if settings.kind != "embedded"
    )

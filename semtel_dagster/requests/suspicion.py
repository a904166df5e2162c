"""Whether a refusal is a sign of the limit, or one of those that come by chance.

Belongs here: the test. What follows from a sign belongs in `limiter`.
"""

from __future__ import annotations

from math import log

PRIOR_STRAYS = 0.3
PRIOR_CALLS = 100.0
MOST_BY_CHANCE = 0.05
MOST_PROVEN = 0.5
PROVEN_CALLS = 150.0
CLEARLY_MORE = 0.25
SURE_OF_PROVEN = 9.0
MEMORY_CALLS = 2000.0
LEAST_AT_LIMIT = 0.25
SURE_AT_LIMIT = 4.0
SURE_OF_SHARED = 3.0
SURE = 5.5
SURE_OF_UNKNOWN = 6.5
CALLS_TO_TRUST = 20.0
OFTEN = 0.008
OFTEN_STRAYS = 8.0
MORE_WHERE_OFTEN = 3.0
FAST = 75.0  # calls per second


class Suspicion:
    """Page's CUSUM test (1954) of a limit against chance.

    Busy shared pools refuse some calls at any rate; beyond a limit a large share is refused. Each refusal speaks for
    the limit by the logarithm of how much likelier it is there than by chance, each call without one against it. How
    often chance refuses is learned from the calls that go well below the limit. Where a limit is expected less is
    asked for: a single refusal will do there while chance has refused next to nothing so far, as it will among the
    very first calls. Where chance is known to refuse often, the more is asked for the more calls go: each false alarm
    lowers the rate for seconds, so they shall be rare in time, and the calls between two of them grow with the
    exponential of what is asked for.
    """

    __slots__ = ("_calls", "_most", "_pending", "_score", "_strays")

    def __init__(self) -> None:
        """Expects about three refusals by chance in a thousand calls."""
        self._score = self._calls = self._strays = self._pending = 0.0
        self._most = MOST_BY_CHANCE

    @property
    def chance(self) -> float:
        """Share of calls that are refused by chance."""
        return min((self._strays + PRIOR_STRAYS) / (self._calls + PRIOR_CALLS), self._most)

    @property
    def often(self) -> bool:
        """Whether it is known that so many are that a lone refusal says nothing."""
        return self.chance > OFTEN and self._strays >= OFTEN_STRAYS

    @property
    def proven(self) -> bool:
        """Whether it is known that chance refuses more than a few calls in a hundred."""
        return self._most > MOST_BY_CHANCE

    def prove(self, share: float) -> None:
        """Takes in that this share of calls was refused by chance (see `trial`)."""
        self._most = MOST_PROVEN
        self._calls, self._strays = PROVEN_CALLS, PROVEN_CALLS * share
        self._score = self._pending = 0.0

    def send(self, *, below: bool) -> None:
        """A call goes, well below the limit or not."""
        if below:
            self._calls += 1.0
            if self._calls > MEMORY_CALLS:
                self._calls /= 2
                self._strays /= 2
        if self._score:
            self._score += _of_accepted(self.chance)
            if self._score <= 0:
                self._score = self._pending = 0.0

    def refuse(
        self,
        *,
        known: bool,
        below: bool,
        exhausted: bool,
        alone: bool = True,
        shared: bool = False,
        per_second: float = 0.0,
    ) -> bool:
        """Takes a refusal in.

        Args:
            known: Whether a limit is known.
            below: Whether calls go well below it, or none is known.
            exhausted: Whether the endpoint shows that nothing remains.
            alone: Whether no other process uses the endpoint. Those who share a limit meet each a few of its refusals.
            shared: Whether one does that this one knows nothing of: then each has to answer to the same signs.
            per_second: How fast calls go.

        Returns:
            Whether it is a sign of the limit.
        """
        chance = self.chance
        self._score += log(_at_limit(chance) / chance)
        if self.proven:  # where a refusal says little, what its sending took for an accepted call counts
            self._score -= _of_accepted(chance)
        unknown = min(SURE_AT_LIMIT + self._calls / CALLS_TO_TRUST, SURE_OF_UNKNOWN)
        at_limit = SURE_OF_SHARED if shared else SURE_AT_LIMIT
        enough = at_limit if not below else SURE if known else unknown
        if self.proven:
            enough = SURE_OF_PROVEN
        elif alone and self.often:
            enough += MORE_WHERE_OFTEN * log(max(per_second / FAST, 1.0))
        if exhausted or self._score >= enough:
            self._strays -= self._pending  # they were signs, too
            self._score = self._pending = 0.0
            return True
        if below:
            self._strays += 1.0
            self._pending += 1.0
        return False


def _of_accepted(chance: float) -> float:
    """What a call that is not refused says for the limit: less than nothing."""
    return log((1 - _at_limit(chance)) / (1 - chance))


def _at_limit(chance: float) -> float:
    """The share of calls that a limit refuses, at least, as the test supposes it."""
    return max(LEAST_AT_LIMIT, chance + CLEARLY_MORE if chance > MOST_BY_CHANCE else 0.0)

"""Whether an endpoint is alive, how long a call to it may take, and when to try a dead one again.

Belongs here: the circuit breaker and the adaptive timeout, as pure arithmetic on a clock that the caller reads.
"""

from __future__ import annotations

from math import exp, inf, log, sqrt
from random import Random

FAILURES_TO_OPEN = 8
UNUSABLE_TO_OPEN = 2
PROBES_TO_CONFIRM = 2
COOLING_SHARE = 0.1  # of the outage so far: what an endpoint's return may go unnoticed
FIRST_COOLING_S = 0.5
LONGEST_COOLING_S = 5.0
LEAST_TIMEOUT_S = 2.0
CUT_MEMORY = 0.1
MOST_CUT = 0.5


class Breaker:
    """Takes an endpoint out after failures in a row, and probes it back in with single calls.

    The pause between probes grows with the outage, so that a return is noticed within a tenth of the time lost.

    Attributes:
        fault: Why the endpoint is out, as a reason code; empty while it is in.
        unusable: Whether the fault is one that waiting does not mend (key, model, money).
    """

    def __init__(self, random: Random | None = None) -> None:
        """Starts closed: the endpoint is in."""
        self.fault = ""
        self.unusable = False
        self._random = random or Random()
        self._failures = self._failed_probes = 0
        self._out_since = self._open_until = -inf
        self._probing = False

    @property
    def hopeless(self) -> bool:
        """Whether probes have confirmed a fault that waiting does not mend."""
        return self.unusable and self._failed_probes >= PROBES_TO_CONFIRM

    def wait(self, now: float) -> float:
        """Seconds until a call may go; infinite while a probe is under way."""
        if not self.fault:
            return 0.0
        return inf if self._probing else max(0.0, self._open_until - now)

    def out_for(self, now: float) -> float:
        """Seconds since the endpoint went out; 0 while it is in."""
        return now - self._out_since if self.fault else 0.0

    def begin(self) -> bool:
        """Takes note of a call; true when it is a probe of an endpoint that is out."""
        if not self.fault:
            return False
        self._probing = True
        return True

    def succeed(self) -> None:
        """Any reply of a living endpoint, a refusal or a row's own fault included."""
        self.fault, self.unusable, self._probing = "", False, False
        self._failures = self._failed_probes = 0

    def release(self, *, probe: bool) -> None:
        """A call was cancelled: it says nothing."""
        if probe:
            self._probing = False

    def fail(self, now: float, reason: str, *, probe: bool, unusable: bool = False) -> bool:
        """Takes a failure in; true when the endpoint went out by it."""
        if self.fault:
            if probe:
                self._probing = False
                self._failed_probes += 1
                self.unusable = unusable
                self._open(now, reason)
            return False
        self._failures += 1
        if self._failures < (UNUSABLE_TO_OPEN if unusable else FAILURES_TO_OPEN):
            return False
        self.unusable = unusable
        self._out_since = now
        self._open(now, reason)
        return True

    def _open(self, now: float, reason: str) -> None:
        self.fault = reason
        cooling = min(max(COOLING_SHARE * (now - self._out_since), FIRST_COOLING_S), LONGEST_COOLING_S)
        self._open_until = now + cooling * self._random.uniform(0.75, 1.25)


class AdaptiveTimeout:
    """How long a call may take: far beyond what calls usually take, and never beyond the setting.

    Latencies are about log-normal, so mean and deviation are kept of the logarithm; the timeout is twice the value
    five deviations out. A timeout censors what it cuts: where most calls are cut the endpoint has become slow, and each
    one widens the next until answers come again; a few among many answers are calls that hang, for which all others
    need not wait longer. A row that was cut gets twice the time at its next try, should its answer be a long one.
    """

    def __init__(self, longest: float) -> None:
        """Starts with the setting's timeout, in seconds."""
        self._longest = longest
        self._mean = 0.0
        self._variance = 0.25
        self._count = 0
        self._widen = 1.0
        self._cut = 0.0

    def seconds(self, tries: int = 0) -> float:
        """The timeout of the next call, for a row that failed so many times."""
        if self._count < 20:
            return self._longest
        expected = 2 * exp(self._mean + 5 * sqrt(self._variance)) * self._widen
        return min(max(expected, LEAST_TIMEOUT_S) * 2.0**tries, self._longest)

    @property
    def straggling(self) -> float:
        """Seconds after which a call is slower than about 99 % of its kind; infinite while unknown."""
        if self._count < 20:
            return inf
        return max(exp(self._mean + 2.4 * sqrt(self._variance)), 0.05)

    def answered(self, latency: float) -> None:
        """Learns from an answer that took so many seconds."""
        value = log(max(latency, 1e-4))
        self._count += 1
        share = max(1 / self._count, 0.02)
        difference = value - self._mean
        self._mean += share * difference
        if self._count > 1:
            self._variance = max((1 - share) * (self._variance + share * difference * difference), 0.01)
        self._widen = max(1.0, self._widen * 0.98)
        self._cut *= 1 - CUT_MEMORY

    def timed_out(self) -> None:
        """Learns from a call that was cut."""
        self._cut += CUT_MEMORY * (1 - self._cut)
        if self._cut > MOST_CUT:
            self._widen = min(self._widen * 1.5, 64.0)

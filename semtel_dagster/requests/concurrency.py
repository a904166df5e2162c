"""How many calls one endpoint gets at a time: more only while throughput grows.

Belongs here: the adaptive limit, as pure arithmetic on a clock that the caller reads. Rates and faults belong in
`limiter` and `health`.
"""

from __future__ import annotations

from math import exp, inf, log, sqrt

from semtel_dagster.requests.curve import WIDTH, ThroughputCurve

LEAST_SAMPLES = 24
WORTH_DOUBLING = 0.5
WORTH_HALVING = 0.9
HIGH_START = 48
WIDEN_S = 1.0
WIDEST = 4.0
DESCENT = 5  # nothing is known below: go further at once
PATROL = (0, 1, 0, -1, 0, 2, 0, -2)


class AdaptiveConcurrency:
    """Seeks the knee of an endpoint's throughput curve.

    First the limit doubles (or, from a high start, halves) while that pays: while latency grows by clearly less than
    load; if the first step does not pay it turns round. Then it stays at the best step of the curve seen so far and
    patrols the steps beside it, so that it follows when the endpoint gets faster or slower. New slots open one by one,
    with each call that ends. Nothing moves while something else (a rate, few rows) holds calls back. Before the first
    answer the limit grows with the time that it takes, up to four times the start: a slow endpoint holds more calls at
    the same pace.

    Attributes:
        limit: Calls in flight, at most; a float, the integer part counts.
        in_flight: Calls in flight now.
    """

    def __init__(self, start: float, maximum: float, tasks: int = 1, *, adaptive: bool = True) -> None:
        """Starts with so many calls in flight; never goes beyond `maximum`, and nowhere unless `adaptive`."""
        self.limit = float(min(start, maximum))
        self.in_flight = 0
        self._open = self.limit
        self._maximum = float(maximum)
        self._adaptive = adaptive
        self._ramping = self._may_turn = True
        self._direction = -1 if start >= HIGH_START and start <= maximum else 1
        self._curve = ThroughputCurve(tasks)
        self._tasks = tasks
        self._patrol = 0
        self._mean_tokens = 0.0
        self._latency = 0.0
        self._previous: tuple[float, float] | None = None
        self._epoch_at: float | None = None
        self._widening = adaptive and self._direction > 0
        self._start = self.limit
        self._count = 0
        self._load = self._log_latency = 0.0
        self._pressed = False
        self._event_at = -inf
        self._before = 0.0

    @property
    def latency(self) -> float:
        """The usual latency of a call in seconds; 0 while unknown."""
        return self._latency

    def has_room(self, now: float) -> bool:
        """Whether one more call may go; asking without getting marks the limit as what holds calls back."""
        if self.in_flight < int(max(self._open, 1.0)):
            return True
        if self._widening and self._epoch_at is not None:
            times = min(1 + (now - self._epoch_at) / WIDEN_S, WIDEST)
            self.limit = self._open = min(self._start * times, self._maximum)
            if self.in_flight < int(self._open):
                return True
        self._pressed = True
        return False

    def begin(self, now: float) -> float:
        """Takes a slot; the value, the log of calls in flight, goes back into `end`."""
        self.in_flight += 1
        if self._epoch_at is None:
            self._epoch_at = now
        return log(self.in_flight)

    def end(self, now: float, began: float, load: float, output_tokens: int | None) -> None:
        """Gives a slot back.

        Args:
            now: The clock, in seconds.
            began: When the slot was taken.
            load: What `begin` returned.
            output_tokens: Length of the answer; None when the call's latency says nothing (refused, failed).
        """
        self.in_flight -= 1
        self._widening = False
        self._open = min(self._open + 1.0, self.limit)
        latency = now - began
        if output_tokens is None or latency <= 0:
            return
        self._mean_tokens += 0.02 * (output_tokens - self._mean_tokens)
        self._latency += (0.05 if self._latency else 1.0) * (latency - self._latency)
        normalised = log(latency * (16 + self._mean_tokens) / (16 + output_tokens))
        self._curve.add(load, normalised, max(100.0, 4 * self.limit))
        if self._epoch_at is not None and began >= self._epoch_at:
            self._count += 1
            self._load += load
            self._log_latency += normalised
        if self._count >= max(LEAST_SAMPLES / 3 if self._ramping else LEAST_SAMPLES, self.limit / 2):
            self._close_epoch(now)

    def shrink(self, now: float, sent_at: float) -> None:
        """Takes a sign of overload in: one step down per event, however many calls met it."""
        if sent_at < self._event_at:
            return
        self._event_at = now
        self._before = max(self._before, self.limit)
        self._move(max(self.limit * 0.7, 4.0))
        self._ramping = False
        self._restart(now)

    def restore(self) -> None:
        """After an outage: what looked like overload was none, so the limit is again what it was before."""
        if self._before:
            self._move(self._before)
            self._before = 0.0

    def _move(self, limit: float) -> None:
        self.limit = min(max(limit, 1.0), self._maximum)
        self._open = min(self._open, self.limit)

    def _close_epoch(self, now: float) -> None:
        assert self._epoch_at is not None
        least = self._latency * (1.0 if self._ramping else 1.5)
        if now - self._epoch_at < max(0.1, least):
            return
        if self._pressed and self._adaptive:
            if self._ramping:
                self._ramp(self._load / self._count, self._log_latency / self._count)
            else:
                self._seek()
        self._restart(now)

    def _restart(self, now: float) -> None:
        self._epoch_at = now
        self._count, self._load, self._log_latency, self._pressed = 0, 0.0, 0.0, False

    def _ramp(self, load: float, latency: float) -> None:
        """Doubles or halves while that pays."""
        if self._previous is not None:
            step = load - self._previous[0]
            slope = (latency - self._previous[1]) / step if abs(step) > 0.2 else 0.0
            noise = self._curve.deviation * sqrt(2 / self._count) / max(abs(step), 0.2)
            if (slope - 2 * noise > WORTH_DOUBLING) if self._direction > 0 else (slope < WORTH_HALVING):
                if not self._may_turn:
                    self._ramping = False
                    self._seek()
                    return
                self._direction = -self._direction
            self._may_turn = False
        self._previous = (load, latency)
        self._move(self.limit * 2.0**self._direction)
        if self.limit in (1.0, self._maximum):
            self._ramping = False

    def _seek(self) -> None:
        """To the best step known, or one beside it."""
        self._curve.fade()
        best = self._curve.best()
        if best is None:
            best = round(log(self.limit) / WIDTH)
        self._patrol = (self._patrol + 1) % len(PATROL)
        step = PATROL[self._patrol]
        if step < 0 and best == self._curve.lowest():
            step *= DESCENT
        here = exp(best * WIDTH)
        aim = round(exp((best + step) * WIDTH))
        if step:
            # A step has to change the whole number of calls, or it is none.
            aim = max(aim, round(here) + 1) if step > 0 else min(aim, round(here) - 1)
        self._move(aim)

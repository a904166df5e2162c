"""How many calls one endpoint gets at a time: more only while throughput grows.

Belongs here: the adaptive limit, as pure arithmetic on a clock that the caller reads. Rates and faults belong in
`limiter` and `health`.
"""

from __future__ import annotations

from math import exp, inf, log, sqrt

RAMP, SEEK = "ramp", "seek"
DITHER = 0.08
LEAST_SAMPLES = 24


class AdaptiveConcurrency:
    """Seeks the knee of an endpoint's throughput curve.

    By Little's law throughput is in-flight / latency, so it grows with in-flight as long as
    slope = d ln latency / d ln in-flight is below one. First the limit doubles (or, from a high start, halves) while
    that pays; then it is dithered by a few percent, the slope is estimated by a decaying regression of each call's
    log latency, normalised by its output tokens, on the log of the mean in-flight during its life, and the limit
    climbs or descends with one minus the slope. New slots open one by one, with each call that ends. Several tasks on one endpoint each move only their part of its load,
    so the slope is scaled by their number. Nothing moves while something else (a rate, few rows) holds calls back.

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
        self._tasks = tasks
        self._adaptive = adaptive
        self._phase = RAMP
        self._direction = -1 if start >= 256 and start <= maximum else 1
        self._arm = 1.0
        self._integral = 0.0
        self._last = 0.0
        self._mean_tokens = 0.0
        self._latency = 0.0
        self._previous: tuple[float, float] | None = None
        self._sums = [0.0] * 6
        self._epoch_at: float | None = None
        self._epoch_integral = 0.0
        self._count = 0
        self._log_latency = 0.0
        self._pressed = False
        self._event_at = -inf

    @property
    def latency(self) -> float:
        """The usual latency of a call in seconds; 0 while unknown."""
        return self._latency

    def has_room(self) -> bool:
        """Whether one more call may go; asking without getting marks the limit as what holds calls back."""
        if self.in_flight < int(max(self._open, 1.0)):
            return True
        self._pressed = True
        return False

    def begin(self, now: float) -> float:
        """Takes a slot; the value goes back into `end`."""
        self._advance(now)
        self.in_flight += 1
        if self._epoch_at is None:
            self._epoch_at, self._epoch_integral = now, self._integral
        return self._integral

    def end(self, now: float, began: float, integral: float, output_tokens: int | None) -> None:
        """Gives a slot back.

        Args:
            now: The clock, in seconds.
            began: When the slot was taken.
            integral: What `begin` returned.
            output_tokens: Length of the answer; None when the call's latency says nothing (refused, failed).
        """
        self._advance(now)
        self.in_flight -= 1
        self._open = min(self._open + 1.0, self.limit * self._arm)
        latency = now - began
        if output_tokens is None or latency <= 0:
            return
        self._mean_tokens += 0.02 * (output_tokens - self._mean_tokens)
        self._latency += (0.05 if self._latency else 1.0) * (latency - self._latency)
        normalised = log(latency * (16 + self._mean_tokens) / (16 + output_tokens))
        self._add(log(max((self._integral - integral) / latency, 1.0)), normalised)
        if self._epoch_at is not None and began >= self._epoch_at:
            self._count += 1
            self._log_latency += normalised
        if self._count >= max(LEAST_SAMPLES, self.limit / 2):
            self._close_epoch(now)

    def shrink(self, now: float, sent_at: float) -> None:
        """Takes a sign of overload in: one step down per event, however many calls met it."""
        if sent_at < self._event_at:
            return
        self._event_at = now
        self.limit = max(self.limit * 0.7, 4.0)
        self._phase = SEEK
        self._restart(now)

    def _advance(self, now: float) -> None:
        self._integral += self.in_flight * (now - self._last)
        self._last = now

    def _add(self, x: float, y: float) -> None:
        keep = 1 - 1 / max(200.0, 6 * self.limit)
        sums = self._sums
        for place, value in enumerate((1.0, x, y, x * x, x * y, y * y)):
            sums[place] = sums[place] * keep + value

    def _close_epoch(self, now: float) -> None:
        assert self._epoch_at is not None
        elapsed = now - self._epoch_at
        if elapsed < max(0.1, self._latency):
            return
        if self._pressed and self._adaptive:
            in_flight = log(max((self._integral - self._epoch_integral) / elapsed, 1.0))
            (self._ramp if self._phase == RAMP else self._seek)(in_flight, self._log_latency / self._count)
        self._restart(now)

    def _restart(self, now: float) -> None:
        self._epoch_at, self._epoch_integral = now, self._integral
        self._count, self._log_latency, self._pressed = 0, 0.0, False

    def _ramp(self, in_flight: float, latency: float) -> None:
        """Doubles or halves while that pays."""
        if self._previous is not None:
            step = in_flight - self._previous[0]
            slope = (latency - self._previous[1]) / step if abs(step) > 0.2 else 0.0
            error = self._deviation() * sqrt(2 / self._count) / max(abs(step), 0.2)
            slope = self._sure_slope(slope, error)
            if (slope > 0.5) if self._direction > 0 else (slope < 0.9):
                self.limit = max(1.0, self.limit / 1.5) if self._direction > 0 else self.limit * 1.5
                self._phase = SEEK
                self._sums = [0.0] * 6
                return
        self._previous = (in_flight, latency)
        self.limit = min(max(self.limit * 2.0**self._direction, 1.0), self._maximum)
        if self.limit in (1.0, self._maximum):
            self._phase = SEEK

    def _seek(self, _in_flight: float, _latency: float) -> None:
        """Climbs or descends with the slope, when the dither has shown it clearly enough."""
        slope, error = self._slope()
        self._arm = 1 - DITHER if self._arm > 1 else 1 + DITHER
        if error > 0.5:
            return
        gain = max(-0.5, min(0.35, 1 - self._sure_slope(slope, error)))
        self.limit = min(max(self.limit * exp(0.25 * gain), 1.0), self._maximum)

    def _sure_slope(self, slope: float, error: float) -> float:
        """The slope of the endpoint's whole load; with several tasks only what stands out of the noise counts."""
        if self._tasks == 1:
            return slope
        return max(slope - error, 0.0) * self._tasks

    def _deviation(self) -> float:
        """Of one call's log latency."""
        n, _, y, _, _, yy = self._sums
        return sqrt(max(yy / n - (y / n) ** 2, 0.01)) if n else 0.5

    def _slope(self) -> tuple[float, float]:
        """The regression's slope and its standard error; an infinite error while it cannot be told."""
        n, x, y, xx, xy, _ = self._sums
        spread = xx - x * x / n if n else 0.0
        if n < LEAST_SAMPLES or spread <= 1e-9:
            return 0.0, inf
        return (xy - x * y / n) / spread, self._deviation() / sqrt(spread)

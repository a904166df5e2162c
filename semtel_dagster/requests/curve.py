"""What was seen of an endpoint's throughput curve.

Belongs here: the estimate. Where to go on the curve belongs in `concurrency`.
"""

from __future__ import annotations

from math import inf, sqrt

WIDTH = 0.07
LEAST_WEIGHT = 12.0
FADE = 0.96
NEIGHBOUR = 0.4


class ThroughputCurve:
    """Mean log latency by calls in flight, in steps of seven percent; the past fades.

    By Little's law throughput is in-flight / latency, so its logarithm is log in-flight minus log latency: every call
    is a sample of the curve at the load it met.
    """

    def __init__(self, tasks: int = 1) -> None:
        """Knows nothing; `tasks` processes share the load, so a step here moves only a part of it."""
        self._tasks = tasks
        self._steps: dict[int, list[float]] = {}
        self._variance = 0.25

    def add(self, load: float, log_latency: float, most: float) -> None:
        """Takes a call in.

        Args:
            load: Log of the calls in flight when it began.
            log_latency: Of the call, normalised by its output tokens.
            most: How many of the last calls of a step count.
        """
        step = self._steps.setdefault(round(load / WIDTH), [0.0, 0.0])
        step[0] = min(step[0] + 1.0, most)
        off = log_latency - step[1]
        step[1] += off / step[0]
        if step[0] > LEAST_WEIGHT:
            self._variance += 0.01 * (off * off - self._variance)

    @property
    def deviation(self) -> float:
        """Of one call's log latency at the same load."""
        return sqrt(self._variance)

    def fade(self) -> None:
        """Lets what was seen count for less."""
        for step in list(self._steps):
            self._steps[step][0] *= FADE
            if self._steps[step][0] < 1.0:
                del self._steps[step]

    def lowest(self) -> int | None:
        """The lowest step that something is known of."""
        known = [step for step, (weight, _) in self._steps.items() if weight >= LEAST_WEIGHT]
        return min(known) if known else None

    def best(self) -> int | None:
        """The lowest step whose throughput cannot be told from the highest; with several tasks the highest such."""
        values = {step: self._throughput(step) for step, (weight, _) in self._steps.items() if weight >= LEAST_WEIGHT}
        if not values:
            return None
        top = max(value for value, _ in values.values())
        if self._tasks == 1:
            return min(step for step, (value, _) in values.items() if value >= top - 0.015)
        return max(step for step, (value, error) in values.items() if value >= top - self._tasks * 2 * error)

    def _throughput(self, step: int) -> tuple[float, float]:
        """Log throughput, smoothed over its neighbours, and its standard error."""
        total = mean = 0.0
        for near, share in ((step, 1.0), (step - 1, NEIGHBOUR), (step + 1, NEIGHBOUR)):
            if near in self._steps:
                weight, latency = self._steps[near]
                total += weight * share
                mean += weight * share * (near * WIDTH - self._tasks * latency)
        return mean / total, sqrt(self._variance / total) if total else inf

"""What a way of asking costs, and how far its labels agree with those of single calls.

Belongs here: counts, their intervals, prices. Asking belongs in `asking`, choosing in `choosing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from semtel_dagster.settings import Price
from semtel_dagster.tuning.said import Labels, Said
from semtel_dagster.tuning.ways import Way


@dataclass(frozen=True)
class Rate:
    """How many of how many.

    Attributes:
        hits: Conversations that have the property.
        n: Conversations.
    """

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        """The rate seen; None without conversations."""
        return self.hits / self.n if self.n else None

    def low(self, error: float) -> float:
        """The lower confidence bound (Clopper-Pearson), which is above the true rate with chance `error` at most."""
        from scipy.stats import beta

        return float(beta.ppf(error, self.hits, self.n - self.hits + 1)) if self.hits else 0.0

    def high(self, error: float) -> float:
        """The upper confidence bound (Clopper-Pearson), likewise."""
        from scipy.stats import beta

        return float(beta.ppf(1 - error, self.hits + 1, self.n - self.hits)) if self.hits < self.n else 1.0


@dataclass(frozen=True)
class Measured:
    """A way of asking, measured on the sample.

    Attributes:
        way: How was asked.
        agreement: With single calls, by task.
        calls: Calls, likewise the tokens.
        cost_usd: At the endpoint's price; 0 where it has none.
        flips: Conversations whose label differs between two runs, over all tasks; None where it was asked once.
        seconds: Wall time of asking.
    """

    way: Way
    agreement: Mapping[str, Rate]
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: float
    flips: Rate | None = None
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """In and out."""
        return self.input_tokens + self.output_tokens

    @property
    def worst(self) -> Rate:
        """The agreement of the task that agrees least."""
        return min(self.agreement.values(), key=lambda rate: (rate.value or 0.0, -rate.n))

    def low(self, error: float) -> float:
        """The lowest of the tasks' lower bounds: all tasks must agree, so the lowest decides, without correction."""
        return min((rate.low(error) for rate in self.agreement.values()), default=0.0)

    def dearness(self) -> tuple[float, int]:
        """By which ways are compared: cost, then tokens where there is no price."""
        return self.cost_usd, self.tokens

    def batched(self, factor: float) -> Measured:
        """The same answers through the Batch API, at that part of the price."""
        return replace(self, way=replace(self.way, batch=True), cost_usd=self.cost_usd * factor)


def measure(way: Way, said: Said, single: Said, price: Price, again: Said | None = None) -> Measured:
    """Measures a way.

    Args:
        way: How was asked.
        said: What came of it.
        single: What came of one call per conversation and task.
        price: Of the endpoint.
        again: What came of it the second time.
    """
    cached = price.input if price.cached_input is None else price.cached_input
    fresh = said.input_tokens - said.cached_tokens
    cost = (fresh * price.input + said.cached_tokens * cached + said.output_tokens * price.output) / 1e6
    return Measured(
        way=way,
        agreement=agreement(single.labels, said.labels),
        calls=said.calls,
        input_tokens=said.input_tokens,
        cached_tokens=said.cached_tokens,
        output_tokens=said.output_tokens,
        cost_usd=cost,
        flips=flips(said.labels, again.labels) if again else None,
        seconds=said.seconds,
    )


def agreement(single: Labels, other: Labels) -> dict[str, Rate]:
    """By task, on how many conversations both have the same label; where single calls gave none it is not counted."""
    found = {}
    for task, labels in single.items():
        told = {case: label for case, label in labels.items() if label is not None}
        found[task] = Rate(sum(other[task].get(case) == label for case, label in told.items()), len(told))
    return found


def flips(one: Labels, other: Labels) -> Rate:
    """How many labels differ between two runs, over all tasks; no label is a label of its own."""
    pairs = [(label, other[task].get(case)) for task, labels in one.items() for case, label in labels.items()]
    return Rate(sum(first != second for first, second in pairs), len(pairs))

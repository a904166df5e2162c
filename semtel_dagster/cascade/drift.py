"""Whether a student's promise goes on to hold: seen each week on the share that is asked anyway.

Belongs here: the evidence against a promise, and the decision to stand back. Reading the rows belongs in `examples`.

The evidence is a bet against the promise (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables
by betting"): a mixture of likelihood ratios of higher rates of disagreement against the promised one. While the
promise holds its expectation is 1 or less however often one looks, so the chance that it ever reaches 1/error is at
most `error` (Ville's inequality): looking again each week needs no correction.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from semtel_dagster.cascade.training import Examples, Trained

ALTERNATIVES = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)  # rates of disagreement, as multiples of the promised one


@dataclass(frozen=True)
class Week:
    """What the asked share of a week says about a student.

    Attributes:
        rows: Conversations that it would have answered, and that were asked anyway.
        disagreeing: Of these, those on which the teacher said something else.
    """

    rows: int = 0
    disagreeing: int = 0


@dataclass(frozen=True)
class Evidence:
    """What all weeks since the training say.

    Attributes:
        rows: Conversations compared.
        disagreeing: Of these, those on which student and teacher differ.
        wealth: What the bet against the promise came to at most; 1 at the start.
        limit: From which wealth on the promise counts as broken.
    """

    rows: int
    disagreeing: int
    wealth: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against the promise beyond its stated confidence."""
        return self.wealth < self.limit

    @property
    def agreement(self) -> float | None:
        """The rate seen; None without rows."""
        return 1 - self.disagreeing / self.rows if self.rows else None


def look(trained: Trained, examples: Examples | None) -> Week:
    """Compares a student with its teacher on the honest rows of a week that it was not trained on."""
    if examples is None or examples.embedding != trained.embedding:
        return Week()
    honest = examples.where(examples.honest)
    if not len(honest):
        return Week()
    predicted = trained.student.predict(honest.vectors)
    sure = trained.answers(predicted)
    agrees = trained.student.agrees(predicted.labels, honest.taught)
    return Week(int(sure.sum()), int((sure & ~agrees).sum()))


def weigh(weeks: Iterable[Week], agreement: float, confidence: float) -> Evidence:
    """The evidence of weeks in their order.

    Args:
        weeks: Since the training.
        agreement: The promised rate.
        confidence: With which it is promised: a promise that holds is called broken in at most 1 - confidence of all
            students, however many weeks are looked at.
    """
    rows = disagreeing = 0
    wealth = 1.0
    for week in weeks:
        rows, disagreeing = rows + week.rows, disagreeing + week.disagreeing
        wealth = max(wealth, _wealth(rows, disagreeing, 1 - agreement))
    return Evidence(rows, disagreeing, wealth, 1 / (1 - confidence))


def _wealth(rows: int, disagreeing: int, promised: float) -> float:
    """The mean of the likelihood ratios against the promised rate of disagreement."""
    logs = [_log_ratio(rows, disagreeing, promised, rate) for rate in alternatives(promised)]
    return math.exp(min(float(np.logaddexp.reduce(logs)) - math.log(len(logs)), 700.0))


def alternatives(promised: float) -> Sequence[float]:
    """The rates of disagreement that are bet on; all above the promised one and below 1."""
    return [min(promised * times, (1 + promised) / 2) for times in ALTERNATIVES]


def _log_ratio(rows: int, disagreeing: int, promised: float, rate: float) -> float:
    return disagreeing * math.log(rate / promised) + (rows - disagreeing) * math.log((1 - rate) / (1 - promised))

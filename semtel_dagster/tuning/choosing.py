"""Which way of asking is taken: the least dear one that is shown to agree with single calls often enough.

Belongs here: the guarantee. With probability `confidence` or more, the way that is chosen agrees with single calls at
the wanted rate or more, in every task, on conversations like the sample. For that each sequence of ways (`ways.chains`)
gets an equal part of the allowed error (Bonferroni), and within it a way counts only if all before it did (tests in a
fixed sequence). Costs may be looked at freely: they decide nothing about what is true.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from semtel_dagster.tuning.measuring import Measured
from semtel_dagster.tuning.ways import SINGLE, Chain, Way


@dataclass(frozen=True)
class Choice:
    """What was decided.

    Attributes:
        chosen: The way to take.
        passed: All ways that are shown to agree, the way of single calls included.
        error: Of each single bound.
    """

    chosen: Measured
    passed: frozenset[Way]
    error: float


def error_of(sequences: Sequence[Chain], confidence: float) -> float:
    """The error that each bound may have."""
    return (1 - confidence) / max(1, len(sequences))


def passes(measured: Measured, wanted: float, error: float) -> bool:
    """Whether a way is shown to agree with single calls often enough; that of single calls does by definition."""
    return measured.way == SINGLE or measured.low(error) >= wanted


def choose(
    measured: Mapping[Way, Measured],
    sequences: Sequence[Chain],
    wanted: float,
    confidence: float,
    batch_factor: float | None = None,
) -> Choice:
    """Chooses the least dear way among those that pass.

    Args:
        measured: All ways that were asked; one that was not asked ends its sequence.
        sequences: The order of the ways, settled before anything was asked.
        wanted: The agreement with single calls.
        confidence: With which it is wanted.
        batch_factor: The Batch API's part of the price, where it may be used; calls in company do not go through it.
    """
    error = error_of(sequences, confidence)
    passed = {SINGLE}
    for sequence in sequences:
        for way in sequence:
            if way not in measured or not passes(measured[way], wanted, error):
                break
            passed.add(way)
    candidates = [each for way, each in measured.items() if way in passed]
    if batch_factor is not None:
        candidates += [each.batched(batch_factor) for each in candidates if each.way.alone]
    return Choice(min(candidates, key=Measured.dearness), frozenset(passed), error)


def needed(wanted: float, error: float) -> int:
    """The fewest conversations that can show an agreement: so many without a single difference."""
    return math.ceil(math.log(error) / math.log(wanted))

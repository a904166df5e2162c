"""Whether a model says the same when it is asked the same again. No calls: labels come as columns of repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semtel_dagster.evaluation.agreement import CONFIDENCE, REPLICATES, Estimate, interval

MISSING = "(unlabelled)"


@dataclass(frozen=True)
class Stability:
    """Self-consistency over repeats.

    Attributes:
        n: Conversations.
        repeats: How often each was asked.
        consistent: Share of conversations that got one label every time.
        flip_rate: How often two repeats of a conversation differ, over all pairs of repeats.
        flips: The flip rate by the commonest label of a conversation.
    """

    n: int
    repeats: int
    consistent: Estimate
    flip_rate: Estimate
    flips: Mapping[str, float]


def measure_stability(
    repeats: Sequence[Sequence[str | None]],
    *,
    seed: int = 0,
    replicates: int = REPLICATES,
    confidence: float = CONFIDENCE,
) -> Stability | None:
    """Compares repeats.

    Args:
        repeats: One sequence per repeat, of one label per conversation in the same order. None counts as a label.
        seed: Of the bootstrap over conversations.
        replicates: Of the bootstrap.
        confidence: Of the intervals.

    Returns:
        None with fewer than two repeats, or without conversations.
    """
    if len(repeats) < 2 or not repeats[0]:
        return None
    names = sorted({label or MISSING for said in repeats for label in said})
    codes = np.array([[names.index(label or MISSING) for label in said] for said in repeats])
    times, n = codes.shape
    counts = np.stack([(codes == code).sum(axis=0) for code in range(len(names))])
    same = (counts * (counts - 1)).sum(axis=0) / (times * (times - 1))
    whole = (counts.max(axis=0) == times).astype(float)
    # Few values occur, so a bootstrap over their table is one over conversations.
    values, owners = np.unique(np.stack([whole, 1 - same], axis=1), axis=0, return_inverse=True)
    shares = np.bincount(owners.ravel()) / n
    drawn = np.random.default_rng(seed).multinomial(n, shares, size=replicates) / n @ values
    commonest = counts.argmax(axis=0)
    return Stability(
        n=n,
        repeats=times,
        consistent=interval(float(whole.mean()), drawn[:, 0], confidence),
        flip_rate=interval(float((1 - same).mean()), drawn[:, 1], confidence),
        flips={
            name: _mean(1 - same[commonest == code]) for code, name in enumerate(names) if (commonest == code).any()
        },
    )


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean())

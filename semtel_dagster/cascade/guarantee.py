"""From which confidence on a student agrees with its teacher often enough, with a finite-sample guarantee.

Belongs here: choosing thresholds from held-out rows. Scoring rows belongs in `student`, watching whether the guarantee
goes on to hold in `drift`.

The guarantee: with probability `confidence` over the held-out rows, rows that come from the same population and reach
the threshold agree with the teacher at a rate of at least `agreement`. It is one of learn-then-test (Angelopoulos,
Bates, Candès, Jordan and Lei 2021, "Learn then Test"): for each threshold of a grid, the hypothesis that rows above it
agree less often is tested by the exact binomial bound of Clopper and Pearson (1934), in an order fixed before any
answer is seen. Several walks start at different places of the grid, each with its part of the error probability, go
down until a first test fails, and the lowest threshold that any of them passed is taken (fixed-sequence testing with
several starts, which holds the family-wise error). BARGAIN (Zeighami, Shankar and Parameswaran 2025) states the
guarantee for cascades in the same terms. Nothing is assumed about the student: a bad one answers few rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

GRID_POINTS = 96
HIGHEST, LOWEST = 0.9995, 0.05
STARTS = (12, 28, 44, 60, 76)  # confidences of .998, .989, .94, .72 and .30

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bound:
    """What the held-out rows say about a threshold.

    Attributes:
        threshold: Answer from this confidence on; None: no threshold is good enough, answer nothing.
        rows: Held-out rows that were looked at.
        answered: Of these, those that reach the threshold.
        agreeing: Of these, those on which student and teacher agree.
        lower: The lower bound of the agreement of rows that reach it, at the part of the error probability it had.
    """

    threshold: float | None
    rows: int
    answered: int = 0
    agreeing: int = 0
    lower: float = 0.0

    @property
    def coverage(self) -> float:
        """The share of held-out rows that the student would answer."""
        return self.answered / self.rows if self.rows else 0.0

    @property
    def observed(self) -> float | None:
        """The agreement on the held-out rows that it would answer; None where there are none."""
        return self.agreeing / self.answered if self.answered else None


def grid() -> Floats:
    """The thresholds that are tried, from the highest down; evenly spaced in log odds, and the same for all data."""
    odds = np.linspace(np.log(HIGHEST / (1 - HIGHEST)), np.log(LOWEST / (1 - LOWEST)), GRID_POINTS)
    spaced: Floats = np.round(1.0 / (1.0 + np.exp(-odds)), 6)
    return spaced


def lower_bounds(agreeing: Ints, rows: Ints, error: float) -> Floats:
    """Exact one-sided lower confidence bounds of rates (Clopper and Pearson 1934); 0 where nothing agrees.

    Args:
        agreeing: Successes.
        rows: Trials, of the same shape.
        error: The probability with which a bound may lie above the true rate.
    """
    from scipy.special import betaincinv

    bounds = betaincinv(np.maximum(agreeing, 1), rows - np.minimum(agreeing, rows) + 1, error)
    return np.where(agreeing > 0, bounds, 0.0)


def choose(scores: Floats, agrees: Bools, agreement: float, error: float) -> Bound:
    """The lowest threshold whose rows agree often enough.

    Args:
        scores: The student's confidence in held-out rows, shape [n]; the rows must be like those it will answer, and
            neither it nor its calibration may have seen them.
        agrees: Whether student and teacher gave the same answer, shape [n].
        agreement: The wanted rate.
        error: The probability with which the guarantee may fail: 1 - confidence.
    """
    thresholds, part = grid(), error / len(STARTS)
    order = np.argsort(-scores, kind="stable")
    reaching = np.searchsorted(-scores[order], -thresholds, side="right")
    agreeing = np.concatenate([[0], np.cumsum(agrees[order])])[reaching]
    lower = lower_bounds(agreeing, reaching, part)
    best = max(_walk(start, lower >= agreement) for start in STARTS)
    if best < 0:
        return Bound(None, len(scores))
    return Bound(float(thresholds[best]), len(scores), int(reaching[best]), int(agreeing[best]), float(lower[best]))


def choose_by_label(
    labels: Sequence[str],
    predicted: npt.NDArray[np.int64],
    scores: Floats,
    agrees: Bools,
    agreement: float,
    error: float,
) -> dict[str, Bound]:
    """A threshold for each predicted label, so that the guarantee holds for all of them together.

    Each label gets an equal part of the error probability (a union over labels), so a rare one needs many rows before
    the student may say it at all.

    Args:
        labels: All labels.
        predicted: The position of each row's predicted label, shape [n].
        scores: As in `choose`.
        agrees: As in `choose`.
        agreement: As in `choose`, of each label's rows.
        error: For all labels together.
    """
    found = {}
    for at, label in enumerate(labels):
        rows = predicted == at
        found[label] = choose(scores[rows], agrees[rows], agreement, error / len(labels))
    return found


def _walk(start: int, passes: Bools) -> int:
    """The last position that a walk down the grid passes; -1 if the first fails."""
    failed = np.flatnonzero(~passes[start:])
    end = start + int(failed[0]) if len(failed) else len(passes)
    return end - 1 if end > start else -1

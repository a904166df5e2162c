"""Agreement of annotators with each other. Agreement of answers with gold belongs in `agreement`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from semtel_dagster.evaluation.agreement import CONFIDENCE, REPLICATES, Estimate, Tables, interval, ratio


def alpha(
    ratings: Mapping[str, Mapping[str, str]],
    labels: Sequence[str],
    *,
    ordinal: bool,
    seed: int = 0,
    replicates: int = REPLICATES,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Krippendorff's alpha of annotators (Krippendorff 2011, nominal and ordinal differences).

    Args:
        ratings: Labels by case, then annotator; cases with one annotator say nothing and are left out.
        labels: The task's labels, in order.
        ordinal: Whether a disagreement counts by its distance in ranks.
        seed: Of the bootstrap over cases.
        replicates: Of the bootstrap.
        confidence: Of the interval.

    Returns:
        1 for full agreement, 0 for chance; None where nobody could disagree.
    """
    units = [counts for said in ratings.values() if (counts := _counts(said.values(), labels)).sum() >= 2]
    if not units:
        return Estimate(None)
    each = np.stack([(np.outer(unit, unit) - np.diag(unit)) / (unit.sum() - 1) for unit in units])
    value = float(_alpha(each.sum(axis=0)[None], ordinal)[0])
    rng = np.random.default_rng(seed)
    flat = each.reshape(len(units), -1)
    drawn = [
        rng.multinomial(len(units), np.full(len(units), 1 / len(units)), size=rows) @ flat
        for rows in _chunks(replicates, len(units))
    ]
    tables = np.concatenate(drawn).reshape(-1, len(labels), len(labels))
    return interval(value, _alpha(tables, ordinal), confidence)


def _counts(said: Iterable[str], labels: Sequence[str]) -> Tables:
    position = {label: index for index, label in enumerate(labels)}
    codes = [position[label] for label in said if label in position]
    return np.bincount(np.asarray(codes, dtype=np.int64), minlength=len(labels)).astype(float)


def _alpha(coincidences: Tables, ordinal: bool) -> Tables:
    totals = coincidences.sum(axis=2)
    if ordinal:
        upto = np.cumsum(totals, axis=1) - totals / 2
        distance = (upto[:, :, None] - upto[:, None, :]) ** 2
    else:
        distance = np.broadcast_to(1.0 - np.eye(totals.shape[1]), coincidences.shape)
    expected = (totals[:, :, None] * totals[:, None, :] * distance).sum(axis=(1, 2))
    observed = (coincidences * distance).sum(axis=(1, 2)) * (totals.sum(axis=1) - 1)
    return 1 - ratio(observed, expected)


def _chunks(replicates: int, units: int) -> list[int]:
    """How many replicates at a time, so that their weights stay under some 30 MB."""
    most = max(1, 4_000_000 // units)
    return [min(most, replicates - at) for at in range(0, replicates, most)]

"""How far a distribution of labels is from a baseline's, and whether chance explains it.

Permutation tests, as array operations on counts. What is done about a shift belongs in `verdict`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PERMUTATIONS = 4999
MISSING = "(unlabelled)"

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """The distance of two label distributions.

    Attributes:
        n: Conversations compared.
        total_variation: Half the sum of the absolute differences of shares: the share that would have to move.
        jensen_shannon: Distance of base 2, from 0 to 1 (Endres and Schindelin 2003).
        p_value: How often chance alone gives at least this total variation.
        jensen_shannon_p: The same of the Jensen-Shannon distance.
        flips: Share of the conversations whose label differs; None where they were not the same ones.
        moved: Share in the candidate minus share in the baseline, by label.
    """

    n: int
    total_variation: float
    jensen_shannon: float
    p_value: float
    jensen_shannon_p: float
    flips: float | None
    moved: Mapping[str, float]


def paired_drift(
    pairs: Sequence[tuple[str | None, str | None]],
    labels: Sequence[str],
    *,
    seed: int = 0,
    permutations: int = PERMUTATIONS,
) -> Drift:
    """Compares two sets of labels of the same conversations.

    The test swaps both labels of a conversation at random: if baseline and candidate are alike, either could have
    said either. So it asks about a direction of the flips, not about their number.

    Args:
        pairs: (baseline's label, candidate's label) per conversation; at least one. None counts as a label.
        labels: The task's labels.
        seed: Of the permutations.
        permutations: How many.
    """
    names = [*labels, MISSING]
    position = {name: index for index, name in enumerate(names)}
    k = len(names)
    codes = [
        k * position.get(before or MISSING, k - 1) + position.get(after or MISSING, k - 1) for before, after in pairs
    ]
    table = np.bincount(np.asarray(codes, dtype=np.int64), minlength=k * k).reshape(k, k)
    both = (table.sum(axis=0) + table.sum(axis=1)).astype(float)
    rng = np.random.default_rng(seed)
    kept = rng.binomial(table, 0.5, size=(permutations, k, k)).astype(float)
    swapped = table[None] - kept
    after = kept.sum(axis=1) + swapped.sum(axis=2)
    flips = 1 - float(np.trace(table)) / len(pairs)
    return _drift(
        table.sum(axis=1).astype(float), table.sum(axis=0).astype(float), both[None] - after, after, names, flips
    )


def unpaired_drift(
    before: Sequence[str | None],
    after: Sequence[str | None],
    labels: Sequence[str],
    *,
    seed: int = 0,
    permutations: int = PERMUTATIONS,
) -> Drift:
    """Compares the labels of two different sets of conversations; the test deals all of them out anew."""
    names = [*labels, MISSING]
    counts = [_count(said, names) for said in (before, after)]
    rng = np.random.default_rng(seed)
    pooled = (counts[0] + counts[1]).astype(np.int64)
    drawn = rng.multivariate_hypergeometric(pooled, len(before), size=permutations).astype(float)
    return _drift(counts[0], counts[1], drawn, pooled[None] - drawn, names, None)


def total_variation(before: Counts, after: Counts) -> Counts:
    """Half the L1 distance of the shares, along the last axis; counts or shares alike."""
    distance: Counts = np.abs(_shares(before) - _shares(after)).sum(axis=-1) / 2
    return distance


def jensen_shannon(before: Counts, after: Counts) -> Counts:
    """The Jensen-Shannon distance of base 2, along the last axis."""
    p, q = _shares(before), _shares(after)
    middle = (p + q) / 2
    divergence = (_entropy_terms(p, middle) + _entropy_terms(q, middle)).sum(axis=-1) / 2
    distance: Counts = np.sqrt(np.maximum(divergence, 0.0))
    return distance


def _drift(
    before: Counts, after: Counts, null_before: Counts, null_after: Counts, names: Sequence[str], flips: float | None
) -> Drift:
    found = {}
    for name, distance in (("tv", total_variation), ("js", jensen_shannon)):
        value = float(distance(before, after))
        # Ties by rounding must count as ties.
        extreme = int((distance(null_before, null_after) >= value - 1e-12).sum())
        found[name] = (value, (1 + extreme) / (1 + len(null_after)))
    moved = _shares(after) - _shares(before)
    return Drift(
        n=int(after.sum()),
        total_variation=found["tv"][0],
        jensen_shannon=found["js"][0],
        p_value=found["tv"][1],
        jensen_shannon_p=found["js"][1],
        flips=flips,
        moved={name: float(value) for name, value in zip(names, moved, strict=True)},
    )


def _count(said: Sequence[str | None], names: Sequence[str]) -> Counts:
    counter = Counter(label if label in names else MISSING for label in said)
    return np.array([counter[name] for name in names], dtype=float)


def _shares(counts: Counts) -> Counts:
    shares: Counts = counts / counts.sum(axis=-1, keepdims=True)
    return shares


def _entropy_terms(p: Counts, middle: Counts) -> Counts:
    ratio = np.divide(p, middle, out=np.ones(np.broadcast_shapes(p.shape, middle.shape)), where=(p > 0) & (middle > 0))
    terms: Counts = p * np.log2(ratio)
    return terms

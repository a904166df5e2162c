"""Interval arithmetic for proportions. What the proportions are of belongs in `shares.py` and `change.py`."""

from __future__ import annotations

import math

from scipy.special import stdtrit


def wilson(share: float, size: float, critical: float) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927).

    Args:
        share: The estimate, in [0, 1].
        size: The number of independent observations behind it; need not be whole.
        critical: The half width in standard errors, e.g. 1.96.

    Returns:
        The ends, in [0, 1]; they always enclose `share`.
    """
    if size <= 0:
        return 0.0, 1.0
    squared = critical * critical
    centre = (share + squared / (2 * size)) / (1 + squared / size)
    half = critical / (1 + squared / size) * math.sqrt(share * (1 - share) / size + squared / (4 * size * size))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def critical_value(confidence: float, degrees: float) -> float:
    """The two-sided critical value of Student's t on `degrees` (positive, not always whole) degrees of freedom."""
    return float(stdtrit(degrees, 0.5 + confidence / 2))


def difference(now: tuple[float, float, float], before: tuple[float, float, float]) -> tuple[float, float, float]:
    """The difference of two independent proportions with its interval.

    Squares and adds the distances from each estimate to its own ends (method 10 of Newcombe 1998), so it needs
    nothing but the two intervals, and never leaves [-1, 1].

    Args:
        now: Share, low, high.
        before: Share, low, high, at the same confidence.

    Returns:
        Difference now - before, its low and its high end.
    """
    (share, low, high), (share_0, low_0, high_0) = now, before
    delta = share - share_0
    return (
        delta,
        delta - math.hypot(share - low, high_0 - share_0),
        delta + math.hypot(high - share, share_0 - low_0),
    )


def benjamini_hochberg(p_values: list[float]) -> list[float]:
    """Adjusted p-values that bound the expected share of false discoveries (Benjamini and Hochberg 1995).

    Returns:
        One adjusted value per input, in the input's order; a test is significant at level q where it is <= q.
    """
    order = sorted(range(len(p_values)), key=lambda position: p_values[position], reverse=True)
    adjusted = [1.0] * len(p_values)
    smallest = 1.0
    for position, index in enumerate(order):
        rank = len(p_values) - position
        smallest = min(smallest, p_values[index] * len(p_values) / rank)
        adjusted[index] = smallest
    return adjusted

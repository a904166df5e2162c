"""Changes of shares from one week to the next. How one week's shares are estimated belongs in `shares.py`."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from scipy.special import ndtr

from semtel_dagster.estimation.intervals import benjamini_hochberg, difference

FALSE_DISCOVERY_RATE = 0.05

CellKey = TypeVar("CellKey", bound=Hashable)


class Share(Protocol):
    """What a comparison needs of an estimate: `estimation.shares.Share`, or a row of `label_shares`."""

    @property
    def share(self) -> float:
        """The estimate, in [0, 1]."""
        ...

    @property
    def effective_n(self) -> float:
        """How many independent conversations would tell as much."""
        ...

    @property
    def low(self) -> float:
        """The interval's lower end."""
        ...

    @property
    def high(self) -> float:
        """The interval's upper end."""
        ...


@dataclass(frozen=True)
class Change:
    """The difference of a share from the week before.

    Attributes:
        difference: This week's share minus last week's.
        low: Lower end of the difference's interval, likewise `high`; not corrected for the number of comparisons.
        p_value: Adjusted for all comparisons made together.
        significant: Whether it stands after that adjustment.
    """

    difference: float
    low: float
    high: float
    p_value: float
    significant: bool


def changes(
    now: Mapping[CellKey, Share], before: Mapping[CellKey, Share], rate: float = FALSE_DISCOVERY_RATE
) -> dict[CellKey, Change]:
    """Compares the cells that both weeks publish; all of them are one family of tests.

    The weeks are taken as independent. The same users in both make the true variance of a difference smaller, so
    that errs on the careful side.

    Args:
        now: This week's shares by any key, e.g. (task, label).
        before: Last week's.
        rate: The expected share of false alarms among the changes called significant.

    Returns:
        One change for each key in both.
    """
    keys = [key for key in now if key in before]
    adjusted = benjamini_hochberg([_p_value(now[key], before[key]) for key in keys])
    return {
        key: Change(*difference(_ends(now[key]), _ends(before[key])), p_value, p_value <= rate)
        for key, p_value in zip(keys, adjusted, strict=True)
    }


def _ends(share: Share) -> tuple[float, float, float]:
    return share.share, share.low, share.high


def _p_value(now: Share, before: Share) -> float:
    """Two-sided z-test of equal shares, pooled over both weeks by their effective sizes."""
    total = now.effective_n + before.effective_n
    pooled = (now.share * now.effective_n + before.share * before.effective_n) / total
    variance = pooled * (1 - pooled) * (1 / now.effective_n + 1 / before.effective_n)
    if variance <= 0:
        return 1.0
    return float(2 * ndtr(-abs(now.share - before.share) / math.sqrt(variance)))

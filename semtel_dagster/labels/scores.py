"""A score beside a label: a number in its range, or none with the reason. Never clamped, never guessed."""

from __future__ import annotations

import math
import re
from typing import Any

from semtel_dagster.classifiers import Score
from semtel_dagster.labels import reasons
from semtel_dagster.labels.normalise import clean

_FIGURE = re.compile(
    r"([+-]?)\s*(\d{1,6}(?:[.,]\d{1,6})?)\s*(?:(?:/|out of|of|von|de|sur)\s*(\d{1,6})|%|points?)?[\s.!]*"
)


def read_score(value: Any, score: Score) -> tuple[float | None, str | None]:
    """A JSON value or a spelling as a score.

    Returns:
        The score and None, or None and a reason.
    """
    if value is None or value == "":
        return None, reasons.SCORE_MISSING
    number = _number(value, score)
    if number is None or not math.isfinite(number):
        return None, reasons.SCORE_INVALID
    if not score.minimum <= number <= score.maximum:
        return None, reasons.SCORE_OUT_OF_RANGE
    return number, None


def _number(value: Any, score: Score) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    if not isinstance(value, str):
        return None
    found = _FIGURE.fullmatch(clean(value).strip("\"'`* "))
    if not found or (found[3] and float(found[3]) != score.maximum):
        return None
    return float(found[1] + found[2].replace(",", "."))

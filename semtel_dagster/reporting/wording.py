"""Numbers and names as people read them. What is shown where belongs in the templates."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

NOTHING = "–"
MINUS = "−"
NARROW = "\u202f"  # a space that does not break

COUNTS = {
    "source rows": "source_rows",
    "conversations accepted": "conversations",
    "sampled": "sampled",
    "cut to the token budget": "truncated",
    "exact duplicates (no call)": "exact_duplicates",
    "near duplicates (no call)": "near_duplicates",
    "distinct, asked about": "distinct",
}


def number(value: float | None) -> str:
    """12,345."""
    return NOTHING if value is None else f"{value:,.0f}"


def short(value: float | None) -> str:
    """A large count in few characters: 987, 12.3 k, 4.5 M."""
    if value is None:
        return NOTHING
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{NARROW}{unit}"
    return f"{value:,.0f}"


def percent(value: float | None) -> str:
    """12.3 %."""
    return NOTHING if value is None else f"{100 * value:.1f}{NARROW}%"


def whole_percent(value: float | None) -> str:
    """12 %."""
    return NOTHING if value is None else f"{100 * value:.0f}{NARROW}%"


def signed_percent(value: float) -> str:
    """+12 %."""
    return f"{100 * value:+.0f}{NARROW}%".replace("-", MINUS)


def share_of(part: float | None, whole: float | None) -> str:
    """One count as a percentage of another."""
    return percent(part / whole) if part is not None and whole else NOTHING


def points(value: float) -> str:
    """A difference of shares in percentage points: +1.2."""
    return f"{100 * value:+.1f}".replace("-", MINUS)


def decimal(value: float | None) -> str:
    """0.42."""
    return NOTHING if value is None else f"{value:.2f}".replace("-", MINUS)


def score(value: float | None) -> str:
    """+12.3."""
    return NOTHING if value is None else f"{value:+.1f}".replace("-", MINUS)


def dollars(value: float) -> str:
    """$1.23; cents of small sums are told to four places."""
    return "$0" if value == 0 else f"${value:,.2f}" if value >= 1 else f"${value:.4f}"


def day(value: dt.date) -> str:
    """9 November 2026."""
    return f"{value.day} {value:%B %Y}"


def sunday(monday: dt.date) -> dt.date:
    """The last day of a week."""
    return monday + dt.timedelta(days=6)


def words(name: str) -> str:
    """A field's name in words: user_expertise -> user expertise."""
    return name.replace("_", " ")


def first_sentence(text: str) -> str:
    """Up to the first full stop or question mark that a space follows."""
    return re.split(r"(?<=[.?!。？！])\s", text.strip(), maxsplit=1)[0]


FILTERS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        number, short, percent, whole_percent, signed_percent, share_of, points, decimal, score, dollars,
        day, sunday, words, first_sentence,
    )
}  # fmt: skip

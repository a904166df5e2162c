"""Where two stored tables differ: their types, rows, order and values, told without a word of any conversation.

Belongs here: the comparison of what lies in two folders. Which tables are compared belongs in `parity`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq

TOLERANCE = 1e-9  # relative, of floating-point numbers; design section 5


@dataclass(frozen=True)
class Comparison:
    """Two tables, row by row.

    Attributes:
        rows: Of the expected table.
        difference: The first difference; None where the tables are equal.
        rounded: Floating-point numbers that differ, by no more than TOLERANCE.
    """

    rows: int
    difference: str | None = None
    rounded: int = 0


def compare(
    expected: Path, found: Path, key: Sequence[str], *, ordered: bool, ignored: Sequence[str] = ()
) -> Comparison:
    """Compares two folders of Parquet parts.

    Args:
        expected: A folder.
        found: Another.
        key: Columns that name a row; they hold no text.
        ordered: Whether the table promises an order: rows are compared in it, else sorted by the key.
        ignored: Columns whose values are measurements of a run; their types are compared all the same.
    """
    types, others = (_types(folder) for folder in (expected, found))
    if types != others:
        unlike = sorted(set(types) ^ set(others))
        return Comparison(0, f"types: {', '.join(map(' '.join, unlike)) or 'the order of the columns'}")
    left, right = (_rows(folder, ignored) for folder in (expected, found))
    if left.height != right.height:
        return Comparison(left.height, f"{right.height} rows")
    if not ordered:
        left, right = left.sort(key), right.sort(key)
    rounded = 0
    for column in [*key, *(name for name in left.columns if name not in key)]:
        unequal = left[column].ne_missing(right[column]).to_numpy()
        near = unequal & _near(left[column], right[column])
        rounded += int(near.sum())
        rows = np.flatnonzero(unequal & ~near)
        if len(rows):
            row = ", ".join(map(str, left.select(key).row(int(rows[0]))))
            return Comparison(left.height, f"{column}: {len(rows)} rows, the first is {row}")
    return Comparison(left.height, None, rounded)


def _types(folder: Path) -> list[tuple[str, str]]:
    """Names and types of a table's columns; of a part that is unlike the first, its own."""
    schemas = [[(each.name, str(each.type)) for each in pq.read_schema(part)] for part in _parts(folder)]
    return next((schema for schema in schemas if schema != schemas[0]), schemas[0])


def _rows(folder: Path, ignored: Sequence[str]) -> pl.DataFrame:
    return pl.read_parquet(_parts(folder), hive_partitioning=False).drop(ignored)


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def _near(left: pl.Series, right: pl.Series) -> npt.NDArray[np.bool_]:
    """Where two columns hold numbers that are equal up to TOLERANCE."""
    if not left.dtype.is_float():
        return np.zeros(len(left), dtype=bool)
    a, b = left.to_numpy(), right.to_numpy()  # what is null is nan, and near nothing
    return np.asarray(np.abs(a - b) <= TOLERANCE * np.maximum(np.abs(a), np.abs(b)))

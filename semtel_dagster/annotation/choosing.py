"""Which conversations are labelled by hand: a simple random sample of the stored ones, with its probability.

The choice depends on a seed and the ids alone, so that a second annotator gets the same ones, and a larger sample
holds a smaller one. The model's labels play no part in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from semtel_dagster.errors import SettingsError
from semtel_dagster.transcript import Turn, parse


@dataclass(frozen=True)
class Item:
    """A conversation to label.

    Attributes:
        inclusion_probability: Of being chosen among the stored conversations of the weeks.
    """

    case: str
    turns: tuple[Turn, ...]
    inclusion_probability: float


def choose(storage: str, size: int, weeks: Sequence[str] = (), seed: int = 0) -> list[Item]:
    """Draws conversations from the stored table `truncated_conversations`.

    Args:
        storage: Root of the dataset layout.
        size: How many, at most.
        weeks: Only these weeks; unset: all.
        seed: Another one draws others.

    Raises:
        SettingsError: No conversation is stored.
    """
    folders = [f"week={week}" for week in weeks] or ["week=*"]
    table = Path(storage, "truncated_conversations")
    parts = sorted(path for folder in folders for path in table.glob(f"{folder}/*.parquet"))
    if not parts:
        raise SettingsError(f"there are no prepared conversations under {storage}; start with: semtel run")
    rows = pl.scan_parquet(parts, hive_partitioning=False).select("conversation_id", "text")
    ids = rows.select("conversation_id").unique().collect()["conversation_id"].to_list()
    chosen = sorted(ids, key=lambda case: _draw(seed, case))[:size]
    texts = dict(rows.filter(pl.col("conversation_id").is_in(chosen)).collect().iter_rows())
    return [Item(case, tuple(parse(texts[case])), len(chosen) / len(ids)) for case in chosen]


def _draw(seed: int, case: str) -> bytes:
    return hashlib.blake2b(f"annotate {seed} {case}".encode(), digest_size=16).digest()

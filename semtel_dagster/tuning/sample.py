"""The conversations that ways of asking are compared on: a sample of those stored, with all their turns.

Belongs here: choosing them, and their transcripts under a way's budget. Asking about them belongs in `asking`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from semtel_dagster.errors import SettingsError
from semtel_dagster.settings import Settings
from semtel_dagster.transcript import Turn
from semtel_dagster.trials.cases import Cases, from_turns
from semtel_dagster.tuning.ways import SINGLE, Way

LEAST_SAVED = 0.05
_PARTS = (0.5, 0.25)
_KEEPS = (0.7, 0.4)
_LEAST_BUDGET = 64


@dataclass(frozen=True)
class Sample:
    """Conversations to ask about.

    Attributes:
        conversations: Turns by conversation_id.
        settings: Where the budget and the rules come from.
    """

    conversations: Mapping[str, Sequence[Turn]]
    settings: Settings

    def __len__(self) -> int:
        return len(self.conversations)

    def cut(self, way: Way) -> Cases:
        """Their transcripts as this way asks about them; alike ones are asked once."""
        if way.text not in self._cuts:
            self._cuts[way.text] = from_turns(self.conversations, way.settings(self.settings, ()))
        return self._cuts[way.text]

    def tokens(self, way: Way) -> int:
        """Of all transcripts of a way."""
        return int(pa.compute.sum(self.cut(way).texts["n_tokens"]).as_py() or 0)

    @cached_property
    def _cuts(self) -> dict[Way, Cases]:
        return {}

    @cached_property
    def budgets(self) -> tuple[int, ...]:
        """Budgets worth trying: parts of the present one, or of long conversations' length where that is less.

        They follow from lengths alone, so that choosing among them later needs no other correction.
        """
        lengths = self.cut(SINGLE).texts["n_tokens"].to_numpy()
        now = self.settings.truncate.max_tokens
        usual = min(now, int(np.quantile(lengths, 0.9))) if len(lengths) else now
        step = 10 if usual < 800 else 100
        tried = {max(_LEAST_BUDGET, round(usual * part / step) * step) for part in _PARTS}
        whole = self.tokens(SINGLE)
        saving = [each for each in tried if each < now and self._saves(Way(max_tokens=each), whole)]
        return tuple(sorted(saving, reverse=True))

    @cached_property
    def compresses(self) -> bool:
        """Whether the rules find enough to be worth trying."""
        return self._saves(Way(compress=True), self.tokens(SINGLE))

    @cached_property
    def keeps(self) -> tuple[float, ...]:
        """Shares worth keeping of the sentences; none where the settings leave some out already."""
        if self.settings.compress.sentences or self.settings.compress.perplexity:
            return ()
        whole = self.tokens(SINGLE)
        return tuple(keep for keep in _KEEPS if self._saves(Way(keep=keep), whole))

    def _saves(self, way: Way, whole: int) -> bool:
        return self.tokens(way) < (1 - LEAST_SAVED) * whole


def sample_of(settings: Settings, size: int, weeks: Sequence[str] = ()) -> Sample:
    """A sample of the stored conversations: those with the smallest content hashes, which is as good as random.

    Args:
        settings: Where the tables are.
        size: How many, at most.
        weeks: Only these weeks; unset: all that are stored.

    Raises:
        SettingsError: No week is prepared.
    """
    folders = weeks or sorted(
        path.name.removeprefix("week=") for path in Path(settings.storage, "distinct_conversations").glob("week=*")
    )
    asked = [
        table for week in folders if (table := _scan(settings.storage, "distinct_conversations", week)) is not None
    ]
    if not asked:
        raise SettingsError(
            f"no prepared week in {settings.storage}, so there is no conversation to try ways of asking on; start "
            "with: semtel run"
        )
    chosen = (
        pl.concat([table.select("content_hash", "conversation_id") for table in asked])
        .unique("content_hash", keep="any")
        .sort("content_hash")
        .head(size)
        .collect()
    )
    return Sample(_turns(settings.storage, folders, chosen["conversation_id"].to_list()), settings)


def _turns(storage: str, weeks: Sequence[str], ids: Sequence[str]) -> dict[str, list[Turn]]:
    found: dict[str, list[Turn]] = {}
    for week in weeks:
        table = _scan(storage, "sampled_conversations", week)
        if table is None:
            continue
        rows = table.filter(pl.col("conversation_id").is_in(list(ids))).select("conversation_id", "messages").collect()
        for case, messages in rows.iter_rows():
            found[case] = [Turn(message["role"], message["content"]) for message in messages]
    return {case: found[case] for case in sorted(found)}


def _scan(storage: str, table: str, week: str) -> pl.LazyFrame | None:
    parts = sorted(Path(storage, table).glob(f"week={week}/*.parquet"))
    return pl.scan_parquet(parts, hive_partitioning=False) if parts else None

"""The representatives of the weeks before one, read from the tables that are there.

They are no upstream partitions: a week does not wait for the weeks before it, and a backfill may go newest first. What
becomes of them belongs in `stages/embed_dedupe.py`.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import narwhals as nw
import pyarrow.parquet as pq

from semtel_dagster.datasets import partition_folder
from semtel_dagster.engines.base import Engine
from semtel_dagster.object_store import ObjectStore
from semtel_dagster.settings import Settings
from semtel_dagster.stages.embed_dedupe import Earlier

TABLES = ("distinct_conversations", "conversation_embeddings")
HASH = "content_hash"


def earlier_representatives(settings: Settings, week: str, engine: Engine) -> Earlier | None:
    """Who stood for texts in the weeks before, as many as `dedupe.earlier_weeks` says; None if there is nobody.

    A representative counts in the weeks in which its own text was embedded, by the model that embedded this week's.
    """
    count = settings.dedupe.earlier_weeks if settings.dedupe.embedding != "none" else 0
    weeks = [str(dt.date.fromisoformat(week) - dt.timedelta(weeks=ago)) for ago in range(1, count + 1)]
    if store := ObjectStore.of(settings):
        store.fetch_all(TABLES, Path(settings.storage), weeks)
    model = _model(settings.storage, week)
    weeks = [each for each in weeks if model is not None and _model(settings.storage, each) == model]
    weeks = [each for each in weeks if _parts(settings.storage, TABLES[0], each)]
    if not weeks:
        return None
    rows, vectors = (
        engine.scan([str(partition_folder(settings.storage, table, each)) for each in weeks]) for table in TABLES
    )
    newest = rows.group_by(HASH).agg(nw.col("week").max())
    embeddings = vectors.select(HASH, "embedding").unique(HASH, keep="any")
    known = engine.match(rows, newest.join(embeddings.select(HASH), on=HASH, how="semi"), [HASH, "week"])
    return Earlier(
        known.select(HASH, "conversation_id", "text", "n_tokens"),
        embeddings.join(newest.select(HASH), on=HASH, how="semi"),
    )


def _model(storage: str, week: str) -> str | None:
    """The model that embedded a week; None if nothing was."""
    for part in _parts(storage, TABLES[1], week):
        for batch in pq.ParquetFile(part).iter_batches(1, columns=["model"]):
            return str(batch.column(0)[0].as_py())
    return None


def _parts(storage: str, table: str, week: str) -> list[Path]:
    return sorted(partition_folder(storage, table, week).glob("*.parquet"))

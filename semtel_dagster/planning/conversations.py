"""The distinct conversations of a week: from its table, or worked out where the table is not there or too old.

Belongs here: what a model would be asked about. Working it out reads the source and runs the stages in a temporary
folder; no model is asked, and nothing lands.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from dataclasses import dataclass
from pathlib import Path

import narwhals as nw
import polars as pl
import pyarrow as pa

from semtel_dagster.datasets import WRITING, partition_folder
from semtel_dagster.embedding.providers import embedding_provider
from semtel_dagster.engines.base import Frame
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.identity import data_fingerprint
from semtel_dagster.settings import DedupeSettings, Settings
from semtel_dagster.sources.weeks import ReadWeek
from semtel_dagster.stages.conversations import read
from semtel_dagster.stages.embed_dedupe import deduplicate, embed
from semtel_dagster.stages.sample import sample
from semtel_dagster.stages.truncate import truncate

TABLE = "distinct_conversations"
COLUMNS = ("content_hash", "n_tokens", "group_size", "group_weight")


@dataclass(frozen=True)
class DistinctConversations:
    """A week's representatives, without their texts.

    Attributes:
        table: COLUMNS of tables.DISTINCT_CONVERSATIONS, in order of content hash.
        exact: False where near duplicates are not known yet: there may be fewer.
    """

    table: pl.DataFrame
    exact: bool = True

    @property
    def conversations(self) -> int:
        """Conversations that these stand for."""
        return int(self.table["group_size"].sum())

    @property
    def fingerprint(self) -> str:
        """Which texts they are."""
        return data_fingerprint(self.table["content_hash"])

    @property
    def content_hashes(self) -> pa.Array:
        """For looking them up in a journal."""
        return pa.array(self.table["content_hash"].to_list(), pa.large_string())


def stored(storage: str, week: str) -> DistinctConversations | None:
    """The week's table as it is; None where there is none."""
    parts = sorted(partition_folder(storage, TABLE, week).glob("*.parquet"))
    if not parts:
        return None
    frame = pl.scan_parquet(parts, hive_partitioning=False).select(COLUMNS).sort("content_hash")
    return DistinctConversations(frame.collect())


def worked_out(settings: Settings, week: str) -> DistinctConversations:
    """What preparing the week now would give.

    Embeddings of an endpoint would cost money: then only exact duplicates are found, and the result is an upper bound.
    So it is where representatives of earlier weeks may also stand for texts.

    Raises:
        SourceError: The source cannot be read.
    """
    engine = PolarsEngine()
    options = _dedupe_options(settings)
    provider = None if options.embedding == "none" else embedding_provider(settings)
    Path(settings.storage, WRITING).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="plan-", dir=Path(settings.storage, WRITING)) as folder:

        def landed(frame: Frame, name: str) -> Frame:
            """Stages read their input more than once."""
            path = Path(folder, name)
            path.mkdir()
            engine.write(frame, str(path))
            return nw.from_native(pl.scan_parquet(f"{path}/*.parquet"))

        conversations = read(ReadWeek(settings.source, dt.date.fromisoformat(week)), engine).accepted
        sampled = sample(landed(conversations, "conversations"), settings.sample, engine)
        truncated = landed(truncate(sampled, settings.truncate, engine, settings.compress), "truncated")
        embeddings = landed(embed(truncated, provider, engine), "embeddings")
        distinct = deduplicate(truncated, embeddings, options, engine).distinct
        table: pl.DataFrame = nw.to_native(distinct.select(*COLUMNS).sort("content_hash")).collect()
    return DistinctConversations(table, exact=options == settings.dedupe and not options.earlier_weeks)


def _dedupe_options(settings: Settings) -> DedupeSettings:
    paid = {endpoint.name for endpoint in settings.endpoints if endpoint.kind != "embedded"}
    options = settings.dedupe
    return options.model_copy(update={"embedding": "none"}) if options.embedding in paid else options

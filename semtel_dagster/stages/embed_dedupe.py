"""The embed-dedupe stage: one embedding per distinct transcript, and groups of duplicates that share one answer.

Exact duplicates are found by content hash, near ones by cosine. How texts become vectors and who represents whom
among vectors belong in `embedding`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semtel_dagster.embedding.base import ProviderFactory
from semtel_dagster.embedding.near_duplicates import EXACT_BELOW, find_groups
from semtel_dagster.engines.base import Engine, Frame, count_rows
from semtel_dagster.settings import DedupeSettings
from semtel_dagster.stages.spread_duplicates import find_groups_apart
from semtel_dagster.tables import DISTINCT_CONVERSATIONS, DUPLICATE_GROUPS, conversation_embeddings
from semtel_dagster.transcript import parse

HASH = "content_hash"


@dataclass(frozen=True)
class DedupeResult:
    """Who was kept, and who stands for whom.

    Attributes:
        distinct: tables.DISTINCT_CONVERSATIONS, one row per group, by content hash.
        groups: tables.DUPLICATE_GROUPS, one row per conversation, by conversation_id.
    """

    distinct: Frame
    groups: Frame


def embed(truncated: Frame, provider_factory: ProviderFactory | None, engine: Engine) -> Frame:
    """Embeds each distinct transcript once.

    Args:
        truncated: Columns `content_hash` and `text` of tables.TRUNCATED_CONVERSATIONS.
        provider_factory: Makes the provider, once per process; picklable. None: no embeddings, an empty table.
        engine: Runs the provider over batches.

    Returns:
        tables.conversation_embeddings, sorted by content hash.
    """
    if provider_factory is None:
        return engine.from_arrow(conversation_embeddings(1).empty_table())
    texts = truncated.select(HASH, "text").unique(HASH, keep="any").sort(HASH)
    dimensions = provider_factory().dimensions
    return engine.map_batches(texts, EmbedBatches(provider_factory), conversation_embeddings(dimensions))


@dataclass(frozen=True)
class EmbedBatches:
    """The row function of `embed`."""

    provider_factory: ProviderFactory

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches of (content_hash, text) to batches of embeddings."""
        provider = self.provider_factory()
        schema = conversation_embeddings(provider.dimensions)
        for batch in batches:
            vectors = provider.embed([content(text) for text in batch.column("text").to_pylist()])
            columns = [
                batch.column(HASH).cast(pa.large_string()),
                pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), provider.dimensions),
                pa.array([provider.name] * len(batch), pa.large_string()),
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def content(text: str) -> str:
    """What was said in a transcript, without markers, quotes and cut marks; text of another form as it is."""
    try:
        return "\n".join(turn.content for turn in parse(text))
    except ValueError:
        return text


def deduplicate(truncated: Frame, embeddings: Frame | None, options: DedupeSettings, engine: Engine) -> DedupeResult:
    """Groups conversations that share one answer.

    Conversations with one content hash are one; the smallest conversation_id of a hash is its row. Of the hashes,
    near duplicates are grouped as `embedding.near_duplicates` defines. A hash without an embedding stands for itself.

    Args:
        truncated: Columns of tables.TRUNCATED_CONVERSATIONS.
        embeddings: tables.conversation_embeddings of these hashes; None, or options.embedding "none": exact
            duplicates only. Polars, or few rows, collect the matrix: 1 KB a hash.
        options: The threshold.
        engine: Makes the frame of who stands for whom.
    """
    first = truncated.unique(HASH, keep="first", order_by=["conversation_id"])
    stands = truncated.select(HASH).unique(HASH).with_columns(representative_hash=nw.col(HASH), cosine=nw.lit(1.0))
    if embeddings is not None and options.embedding != "none":
        of_these = embeddings.select(HASH, "embedding").join(stands.select(HASH), on=HASH, how="semi")
        near = engine.from_arrow(_near_duplicates(of_these, options.threshold, engine))
        stands = stands.select(HASH).join(near, on=HASH, how="left")
        stands = stands.with_columns(
            representative_hash=nw.coalesce("representative_hash", HASH), cosine=nw.coalesce("cosine", nw.lit(1.0))
        )
    groups = _groups(truncated, first, stands)
    return DedupeResult(_distinct(first, groups), groups.sort("conversation_id"))


def _near_duplicates(embeddings: Frame, threshold: float, engine: Engine) -> pa.Table:
    """Columns content_hash, representative_hash, cosine: one row per hash that another hash stands for."""
    if engine.distributed and (rows := count_rows(embeddings)) >= EXACT_BELOW:
        return find_groups_apart(embeddings, rows, threshold, engine)
    table = embeddings.sort(HASH).collect(backend="pyarrow").to_native()
    column = table.column("embedding").combine_chunks()
    vectors = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    groups = find_groups(vectors.reshape(len(column), -1) if len(column) else np.empty((0, 1), np.float32), threshold)
    members = np.flatnonzero(groups.representative != np.arange(len(column)))
    hashes = pc.cast(table.column(HASH), pa.large_string())
    return pa.table(
        {
            HASH: hashes.take(members),
            "representative_hash": hashes.take(groups.representative[members]),
            "cosine": groups.similarity[members],
        }
    )


def _groups(truncated: Frame, first: Frame, stands: Frame) -> Frame:
    """Columns of tables.DUPLICATE_GROUPS, one row per conversation."""
    representatives = first.select(
        nw.col(HASH).alias("representative_hash"), representative_id=nw.col("conversation_id")
    )
    members = truncated.join(stands, on=HASH, how="left").join(representatives, on="representative_hash", how="left")
    itself = nw.col("conversation_id") == nw.col("representative_id")
    same_text = nw.col(HASH) == nw.col("representative_hash")
    kind = (
        nw.when(itself)
        .then(nw.lit("representative"))
        .otherwise(nw.when(same_text).then(nw.lit("exact")).otherwise(nw.lit("near")))
    )
    return (
        members.with_columns(kind=kind, similarity=nw.col("cosine"))
        .with_columns(content_hash=nw.col("representative_hash"))
        .select(*DUPLICATE_GROUPS.names)
    )


def _distinct(first: Frame, groups: Frame) -> Frame:
    """Columns of tables.DISTINCT_CONVERSATIONS, one row per group."""
    sums = groups.group_by(HASH).agg(group_size=nw.len().cast(nw.Int64), group_weight=nw.col("sampling_weight").sum())
    return first.join(sums, on=HASH, how="inner").select(*DISTINCT_CONVERSATIONS.names).sort(HASH)

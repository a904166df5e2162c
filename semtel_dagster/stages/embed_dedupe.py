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
from semtel_dagster.stages.spread_duplicates import STANDING, find_groups_apart
from semtel_dagster.tables import (
    DISTINCT_CONVERSATIONS,
    DUPLICATE_GROUPS,
    TRUNCATED_CONVERSATIONS,
    conversation_embeddings,
)
from semtel_dagster.transcript import parse

HASH = "content_hash"
ROW = [HASH, "conversation_id"]
WORDS = ["text", "n_tokens"]
MEMBER = [name for name in DUPLICATE_GROUPS.names if name in TRUNCATED_CONVERSATIONS.names]


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
    texts = engine.match(truncated.select(*ROW, "text"), _first_rows(truncated), ROW)
    in_order = engine.sort_by_hash(texts.select(HASH, "text"), HASH)
    dimensions = provider_factory().dimensions
    return engine.map_batches(in_order, EmbedBatches(provider_factory), conversation_embeddings(dimensions))


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


@dataclass(frozen=True)
class Earlier:
    """Representatives of earlier weeks, each hash once: they go on to represent, so that their answers are used again.

    Attributes:
        representatives: content_hash, conversation_id, text and n_tokens of tables.DISTINCT_CONVERSATIONS.
        embeddings: Their content_hash and embedding, of the length that this week's have.
    """

    representatives: Frame
    embeddings: Frame


def deduplicate(
    truncated: Frame,
    embeddings: Frame | None,
    options: DedupeSettings,
    engine: Engine,
    earlier: Earlier | None = None,
) -> DedupeResult:
    """Groups conversations that share one answer.

    Conversations with one content hash are one; the smallest conversation_id of a hash is its row. Of the hashes,
    near duplicates are grouped as `embedding.near_duplicates` defines. A hash without an embedding stands for itself.

    With earlier weeks, a text near one of their representatives joins it, and that representative's own row is among
    the distinct ones. Groups count and weigh this week's conversations only.

    Args:
        truncated: Columns of tables.TRUNCATED_CONVERSATIONS.
        embeddings: tables.conversation_embeddings of these hashes; None, or options.embedding "none": exact
            duplicates only. Polars, or few rows, collect the matrix: 1 KB a hash.
        options: The threshold.
        engine: Makes the frame of who stands for whom.
        earlier: Who may also stand for this week's texts; needs embeddings.
    """
    first = _first_rows(truncated)
    stands = truncated.select(HASH).unique(HASH).with_columns(representative_hash=nw.col(HASH), cosine=nw.lit(1.0))
    known = first
    if embeddings is not None and options.embedding != "none":
        of_these = embeddings.select(HASH, "embedding").join(stands.select(HASH), on=HASH, how="semi")
        if earlier:
            of_these = _with_standing(of_these, earlier.embeddings)
            known = nw.concat([first, _only_earlier(earlier, first)])
        near = engine.from_arrow(_near_duplicates(of_these, options.threshold, engine))
        stands = stands.select(HASH).join(near, on=HASH, how="left")
        stands = stands.with_columns(
            representative_hash=nw.coalesce("representative_hash", HASH), cosine=nw.coalesce("cosine", nw.lit(1.0))
        )
    groups = _groups(truncated.select(*MEMBER), known, stands)
    distinct = engine.match(truncated.select(*ROW, *WORDS), _chosen(first, groups), ROW)
    if earlier:
        chosen = _chosen(_only_earlier(earlier, first), groups)
        distinct = nw.concat([distinct, engine.match(earlier.representatives.select(*ROW, *WORDS), chosen, ROW)])
    in_order = engine.sort_by_hash(distinct.select(*DISTINCT_CONVERSATIONS.names), HASH)
    return DedupeResult(in_order, groups.sort("conversation_id"))


def _only_earlier(earlier: Earlier, first: Frame) -> Frame:
    """Columns ROW of the representatives whose text this week does not have itself."""
    return earlier.representatives.select(*ROW).join(first.select(HASH), on=HASH, how="anti")


def _with_standing(embeddings: Frame, earlier: Frame) -> Frame:
    """This week's embeddings and the earlier ones, and which of these hashes stand for themselves."""
    marks = earlier.select(HASH).with_columns(marked=nw.lit(1, nw.Int32))
    others = earlier.select(HASH, "embedding").join(embeddings.select(HASH), on=HASH, how="anti")
    marked = nw.concat([embeddings, others]).join(marks, on=HASH, how="left")
    return marked.with_columns(standing=~nw.col("marked").is_null()).select(HASH, "embedding", STANDING)


def _first_rows(truncated: Frame) -> Frame:
    """Columns ROW: of each hash the smallest conversation_id."""
    return truncated.group_by(HASH).agg(nw.col("conversation_id").min()).select(*ROW)


def _near_duplicates(embeddings: Frame, threshold: float, engine: Engine) -> pa.Table:
    """Columns content_hash, representative_hash, cosine: one row per hash that another hash stands for.

    Args:
        embeddings: Columns content_hash, embedding, and maybe standing, as `find_groups_apart` takes them.
        threshold: The least cosine.
        engine: Compares, if the rows are many and it is distributed.
    """
    if engine.distributed and (rows := count_rows(embeddings)) >= EXACT_BELOW:
        return find_groups_apart(embeddings, rows, threshold, engine)
    table = embeddings.sort(HASH).collect(backend="pyarrow").to_native()
    column = table.column("embedding").combine_chunks()
    vectors = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    matrix = vectors.reshape(len(column), -1) if len(column) else np.empty((0, 1), np.float32)
    standing = np.flatnonzero(table.column(STANDING).to_numpy()) if STANDING in table.column_names else None
    groups = find_groups(matrix, threshold, standing=standing)
    members = np.flatnonzero(groups.representative != np.arange(len(column)))
    hashes = pc.cast(table.column(HASH), pa.large_string())
    return pa.table(
        {
            HASH: hashes.take(members),
            "representative_hash": hashes.take(groups.representative[members]),
            "cosine": groups.similarity[members],
        }
    )


def _groups(members: Frame, first: Frame, stands: Frame) -> Frame:
    """Columns of tables.DUPLICATE_GROUPS, one row per conversation."""
    representatives = first.select(
        nw.col(HASH).alias("representative_hash"), representative_id=nw.col("conversation_id")
    )
    placed = members.join(stands, on=HASH, how="left").join(representatives, on="representative_hash", how="left")
    itself = nw.col("conversation_id") == nw.col("representative_id")
    same_text = nw.col(HASH) == nw.col("representative_hash")
    kind = (
        nw.when(itself)
        .then(nw.lit("representative"))
        .otherwise(nw.when(same_text).then(nw.lit("exact")).otherwise(nw.lit("near")))
    )
    return (
        placed.with_columns(kind=kind, similarity=nw.col("cosine"))
        .with_columns(content_hash=nw.col("representative_hash"))
        .select(*DUPLICATE_GROUPS.names)
    )


def _chosen(first: Frame, groups: Frame) -> Frame:
    """The representatives' rows, with the size and weight of their groups."""
    sums = groups.group_by(HASH).agg(group_size=nw.len().cast(nw.Int64), group_weight=nw.col("sampling_weight").sum())
    return first.join(sums, on=HASH, how="inner")

"""Embeddings, and groups of duplicates that share one answer."""

from collections.abc import Iterator

import dagster as dg

from semtel_dagster.automation import weekly
from semtel_dagster.embedding.providers import embedding_provider
from semtel_dagster.engines.base import Engine, Frame
from semtel_dagster.partitions import Partitions
from semtel_dagster.requests.embeddings import post_for
from semtel_dagster.settings import Settings
from semtel_dagster.stages.embed_dedupe import deduplicate, embed


def build(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """`conversation_embeddings`, `distinct_conversations` and `duplicate_groups`, by week."""

    @dg.asset(partitions_def=partitions.weekly, group_name="prepare", kinds={"parquet"}, automation_condition=weekly())
    def conversation_embeddings(
        truncated_conversations: Frame, settings: dg.ResourceParam[Settings], engine: dg.ResourceParam[Engine]
    ) -> Frame:
        """One embedding per distinct transcript, stored once and used by every classifier."""
        return embed(truncated_conversations, embedding_provider(settings, post_for), engine)

    @dg.multi_asset(
        partitions_def=partitions.weekly,
        group_name="prepare",
        outs={
            "distinct_conversations": dg.AssetOut(
                description="One representative per group of duplicates: the conversations that models are asked "
                "about.",
                kinds={"parquet"},
                automation_condition=weekly(),
            ),
            "duplicate_groups": dg.AssetOut(
                description="Which representative stands for which conversation, and how similar they are.",
                kinds={"parquet"},
                automation_condition=weekly(),
            ),
        },
    )
    def deduplicate_conversations(
        truncated_conversations: Frame,
        conversation_embeddings: Frame,
        settings: dg.ResourceParam[Settings],
        engine: dg.ResourceParam[Engine],
    ) -> Iterator[dg.Output[object]]:
        """Groups exact and near duplicates."""
        groups = deduplicate(truncated_conversations, conversation_embeddings, settings.dedupe, engine)
        yield dg.Output(groups.distinct, "distinct_conversations")
        yield dg.Output(groups.groups, "duplicate_groups")

    return [conversation_embeddings, deduplicate_conversations]

"""Embeddings, and groups of duplicates that share one answer."""

from collections.abc import Iterator, Mapping, Set

import dagster as dg

from semtel_dagster.automation import weekly
from semtel_dagster.earlier import earlier_representatives
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

    # Subsettable, since otherwise Dagster 1.13 refuses about every third backfill that is launched from the UI
    # ("Targeted subset must match between every key in a non-subsettable multi-asset"): it compares the partitions of
    # the two outputs by a field that depends on the order of a set of parents.
    @dg.multi_asset(
        partitions_def=partitions.weekly,
        group_name="prepare",
        can_subset=True,
        outs={
            "distinct_conversations": dg.AssetOut(
                description="One representative per group of duplicates: the conversations that models are asked "
                "about.",
                kinds={"parquet"},
                automation_condition=weekly(),
                is_required=False,
            ),
            "duplicate_groups": dg.AssetOut(
                description="Which representative stands for which conversation, and how similar they are.",
                kinds={"parquet"},
                automation_condition=weekly(),
                is_required=False,
            ),
        },
    )
    def deduplicate_conversations(
        context: dg.AssetExecutionContext,
        truncated_conversations: Frame,
        conversation_embeddings: Frame,
        settings: dg.ResourceParam[Settings],
        engine: dg.ResourceParam[Engine],
    ) -> Iterator[dg.Output[object]]:
        """Groups exact and near duplicates."""
        earlier = earlier_representatives(settings, context.partition_key, engine)
        groups = deduplicate(truncated_conversations, conversation_embeddings, settings.dedupe, engine, earlier)
        outputs = {"distinct_conversations": groups.distinct, "duplicate_groups": groups.groups}
        yield from _selected(outputs, context.selected_asset_keys)

    return [conversation_embeddings, deduplicate_conversations]


def _selected(outputs: Mapping[str, Frame], keys: Set[dg.AssetKey]) -> Iterator[dg.Output[object]]:
    return (dg.Output(frame, name) for name, frame in outputs.items() if dg.AssetKey(name) in keys)

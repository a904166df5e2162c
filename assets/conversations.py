"""Conversations from the source, validated; what broke the contract is quarantined beside them."""

import datetime as dt
from collections.abc import Iterator

import dagster as dg

from semtel_dagster.automation import weekly
from semtel_dagster.engines.base import Engine
from semtel_dagster.partitions import Partitions
from semtel_dagster.settings import Settings
from semtel_dagster.sources.weeks import ReadWeek
from semtel_dagster.stages import conversations as stage


def build(partitions: Partitions) -> dg.AssetsDefinition:
    """`conversations` and `rejected_conversations`, by week."""

    @dg.multi_asset(
        name="read_conversations",
        partitions_def=partitions.weekly,
        group_name="prepare",
        outs={
            "conversations": dg.AssetOut(
                description="Conversations that started in the week, as the contract wants them.",
                kinds={"parquet"},
                automation_condition=weekly(),
            ),
            "rejected_conversations": dg.AssetOut(
                description="Rows of the source that broke the contract: where they stand and why. Nothing is "
                "dropped silently.",
                kinds={"parquet"},
                automation_condition=weekly(),
            ),
        },
    )
    def read_conversations(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], engine: dg.ResourceParam[Engine]
    ) -> Iterator[dg.Output[object]]:
        """Reads one week of the source."""
        week = dt.date.fromisoformat(context.partition_key)
        read = stage.read(ReadWeek(settings.source, week), engine)
        yield dg.Output(read.accepted, "conversations")
        yield dg.Output(read.rejected, "rejected_conversations")

    return read_conversations

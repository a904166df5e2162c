"""Each sampled conversation as a quoted transcript within the token budget."""

import dagster as dg

from semtel_dagster.automation import weekly
from semtel_dagster.engines.base import Engine, Frame
from semtel_dagster.partitions import Partitions
from semtel_dagster.settings import Settings
from semtel_dagster.stages.truncate import truncate


def build(partitions: Partitions) -> dg.AssetsDefinition:
    """`truncated_conversations`, by week."""

    @dg.asset(partitions_def=partitions.weekly, group_name="prepare", kinds={"parquet"}, automation_condition=weekly())
    def truncated_conversations(
        sampled_conversations: Frame, settings: dg.ResourceParam[Settings], engine: dg.ResourceParam[Engine]
    ) -> Frame:
        """Transcripts cut to the token budget, with the cuts marked and the tokens counted."""
        return truncate(sampled_conversations, settings.truncate, engine, settings.compress)

    return truncated_conversations

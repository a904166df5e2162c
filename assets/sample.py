"""A reproducible sample of the week's conversations, with exact inclusion probabilities."""

import dagster as dg

from semtel_dagster.automation import weekly
from semtel_dagster.engines.base import Engine, Frame
from semtel_dagster.partitions import Partitions
from semtel_dagster.settings import Settings
from semtel_dagster.stages.sample import sample


def build(partitions: Partitions) -> dg.AssetsDefinition:
    """`sampled_conversations`, by week."""

    @dg.asset(partitions_def=partitions.weekly, group_name="prepare", kinds={"parquet"}, automation_condition=weekly())
    def sampled_conversations(
        conversations: Frame, settings: dg.ResourceParam[Settings], engine: dg.ResourceParam[Engine]
    ) -> Frame:
        """The conversations that will be labelled, each with the weight that makes the shares unbiased."""
        return sample(conversations, settings.sample, engine)

    return sampled_conversations

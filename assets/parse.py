"""Labels from raw answers, for every conversation of a duplicate group. No call is made."""

from __future__ import annotations

import dagster as dg

from semtel_dagster.engines.base import Engine, Frame
from semtel_dagster.labels.batches import PARSED, ParseResponses
from semtel_dagster.partitions import Partitions, classifier_of
from semtel_dagster.classifiers import Prompts
from semtel_dagster.stages.parse import parse


def build(partitions: Partitions) -> dg.AssetsDefinition:
    """`labels`, by week and classifier."""

    @dg.asset(partitions_def=partitions.grid, group_name="label", kinds={"parquet"})
    def labels(
        context: dg.AssetExecutionContext,
        responses: Frame,
        duplicate_groups: Frame,
        prompts: dg.ResourceParam[Prompts],
        engine: dg.ResourceParam[Engine],
    ) -> Frame:
        """One label per conversation and task, with how it came to be: exact, cleaned, matched, invalid."""
        classifier = prompts[classifier_of(context.partition_key)].classifier
        parsed = engine.map_batches(responses, ParseResponses(classifier), PARSED)
        return parse(parsed, duplicate_groups, classifier)

    return labels

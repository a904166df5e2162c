"""Labels from raw answers, for every conversation of a duplicate group. No call is made."""

import dagster as dg

from semtel_dagster.automation import weekly
from semtel_dagster.classifiers import Prompts
from semtel_dagster.engines.base import Engine, Frame
from semtel_dagster.partitions import Partitions, classifier_of
from semtel_dagster.repair import parser_for
from semtel_dagster.settings import Settings
from semtel_dagster.stages.parse import parse


def build(partitions: Partitions) -> dg.AssetsDefinition:
    """`labels`, by week and classifier."""

    @dg.asset(partitions_def=partitions.grid, group_name="label", kinds={"parquet"}, automation_condition=weekly())
    def labels(
        context: dg.AssetExecutionContext,
        responses: Frame,
        duplicate_groups: Frame,
        settings: dg.ResourceParam[Settings],
        prompts: dg.ResourceParam[Prompts],
        engine: dg.ResourceParam[Engine],
    ) -> Frame:
        """One label per conversation and task, with how it came to be: exact, cleaned, matched, repaired, invalid."""
        prompt = prompts[classifier_of(context.partition_key)]
        parser = parser_for(prompt.classifier, settings.requests)
        context.add_output_metadata(
            {"prompt_fingerprint": prompt.fingerprint, "parser_fingerprint": parser.fingerprint}
        )
        return parse(responses, duplicate_groups, parser, engine)

    return labels

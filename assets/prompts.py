"""The classifiers' prompts, observed: a new fingerprint marks that classifier's weeks, and no other."""

import dagster as dg

from semtel_dagster.automation import PROMPTS, observed
from semtel_dagster.classifiers import Prompts
from semtel_dagster.partitions import CLASSIFIER, Partitions


def build(partitions: Partitions) -> dg.SourceAsset:
    """`prompts`, by classifier; made by people, so it is observed and never materialized."""

    @dg.observable_source_asset(
        name=PROMPTS,
        group_name="label",
        partitions_def=partitions.grid.get_partitions_def_for_dimension(CLASSIFIER),
        automation_condition=observed(),
        description="One Prompty file per classifier. Its version is the fingerprint of all that can change an "
        "answer: comments, the order of keys, aliases and white space outside the template do not count.",
    )
    def prompts_observed(prompts: dg.ResourceParam[Prompts]) -> dg.DataVersionsByPartition:
        """The fingerprints as they are now."""
        return dg.DataVersionsByPartition({name: prompt.fingerprint for name, prompt in prompts.items()})

    return prompts_observed

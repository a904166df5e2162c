"""Weighted shares with intervals, small cells suppressed."""

import dagster as dg

from semtel_dagster.automation import weekly
from semtel_dagster.classifiers import Prompts
from semtel_dagster.engines.base import Engine, Frame
from semtel_dagster.estimation.estimator import ShareEstimator
from semtel_dagster.partitions import Partitions, classifier_of
from semtel_dagster.settings import Settings
from semtel_dagster.stages.aggregate import aggregate


def build(partitions: Partitions) -> dg.AssetsDefinition:
    """`label_shares`, by week and classifier."""

    @dg.asset(partitions_def=partitions.grid, group_name="publish", kinds={"parquet"}, automation_condition=weekly())
    def label_shares(
        context: dg.AssetExecutionContext,
        labels: Frame,
        settings: dg.ResourceParam[Settings],
        prompts: dg.ResourceParam[Prompts],
        engine: dg.ResourceParam[Engine],
    ) -> Frame:
        """The share of each label in the week, with an interval; cells that could identify people are pooled."""
        tasks = prompts[classifier_of(context.partition_key)].classifier.tasks
        estimator = ShareEstimator(settings.aggregate, tasks)
        return aggregate(labels, settings.aggregate, engine, estimator)

    return label_shares

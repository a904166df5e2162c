"""The weekly report and the DuckDB warehouse."""

import datetime as dt

import dagster as dg

from semtel_dagster.automation import weekly
from semtel_dagster.classifiers import Prompts
from semtel_dagster.estimation.change import changes
from semtel_dagster.estimation.suppression import hidden_cells
from semtel_dagster.partitions import Partitions
from semtel_dagster.publishing import fetch_reported, publish_report
from semtel_dagster.reporting.report import Statistics
from semtel_dagster.reporting.weekly import write_report
from semtel_dagster.settings import Settings


def build(partitions: Partitions) -> dg.AssetsDefinition:
    """`weekly_report`, by week."""

    @dg.asset(
        partitions_def=partitions.weekly,
        group_name="publish",
        kinds={"html", "duckdb"},
        deps=["label_shares", "labels"],
        automation_condition=weekly(),
    )
    def weekly_report(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], prompts: dg.ResourceParam[Prompts]
    ) -> dg.MaterializeResult[None]:
        """One self-contained HTML page of the week, and the warehouse with every table."""
        week = dt.date.fromisoformat(context.partition_key)
        fetch_reported(settings, context.partition_key)
        written = write_report(settings, week, prompts, Statistics(changes, hidden_cells))
        return dg.MaterializeResult(
            metadata={
                "report": dg.MetadataValue.url(written.page.as_uri()),
                "warehouse": dg.MetadataValue.path(str(written.warehouse)),
                **publish_report(settings, written.page),
                **written.figures,
            }
        )

    return weekly_report

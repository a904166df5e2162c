"""The check that says in words which answers are not current, what changed, and what catching up takes.

Level-triggered: it compares recorded with current state over all weeks, whenever it runs. Checks of a partition's own
rows belong in `checks`.
"""

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from semtel_dagster.automation import daily
from semtel_dagster.classifiers import Prompts
from semtel_dagster.planning.attempts import UNDER_WAY
from semtel_dagster.planning.history import History
from semtel_dagster.planning.plan import Plan, make_plan
from semtel_dagster.planning.project import Project
from semtel_dagster.planning.staleness import MISSING
from semtel_dagster.planning.words import in_words, price_in_words, table_of
from semtel_dagster.settings import Settings

MOST_ROWS = 50
ASSET, NAME = "responses", "answers_are_current"
KEY = dg.AssetCheckKey(dg.AssetKey(ASSET), NAME)


def build() -> dg.AssetChecksDefinition:
    """`answers_are_current`, on `responses`."""

    @dg.asset_check(name=NAME, asset=ASSET, automation_condition=daily())
    def answers_are_current(
        context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings], prompts: dg.ResourceParam[Prompts]
    ) -> dg.AssetCheckResult:
        """Warns when prompts, models, parsers or conversations are not those of the recorded labels any more."""
        project = Project.of(settings, prompts)
        # Weeks that were never labelled are work to do, not answers that grew old.
        plan = make_plan(project, context.instance, without={MISSING})
        return verdict(project, History.read(context.instance), plan)

    return answers_are_current


def verdict(project: Project, history: History, plan: Plan) -> dg.AssetCheckResult:
    """Passed when nothing is stale; else a warning with the change in words and the price."""
    total = {name: value for name, value in plan.total.items() if value is not None}
    metadata = total | ({"plan": dg.MetadataValue.md(table_of(plan.partitions[:MOST_ROWS]))} if plan.partitions else {})
    words = in_words(project, history, plan)
    return dg.AssetCheckResult(
        passed=not plan.partitions,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata | {"what_changed": dg.MetadataValue.md(words)},
        description=words if not plan.partitions else f"{_first(words)} To catch up: {price_in_words(plan)}.",
    )


def _first(words: str) -> str:
    """The first change as plain text, since descriptions are not rendered."""
    title, *rest = words.replace("**", "").split("\n")
    change = next((line[2:] for line in rest if line.startswith("- ")), "")
    return f"{title}{': ' if change else ''}{change}."


def outlived(instance: dg.DagsterInstance) -> bool:
    """Whether the last verdict was that something is stale, and weeks have been labelled since, and all runs ended."""
    last = instance.get_latest_asset_check_evaluation_record(KEY)
    labelled = instance.get_latest_materialization_event(dg.AssetKey("label_shares"))
    if last is None or labelled is None or last.status != AssetCheckExecutionRecordStatus.FAILED:
        return False
    under_way = instance.get_runs_count(dg.RunsFilter(statuses=list(UNDER_WAY)))
    return labelled.timestamp > last.create_timestamp and not under_way

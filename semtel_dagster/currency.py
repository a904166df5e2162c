"""The check that says in words which answers are not current, what changed, and what catching up takes.

Level-triggered: it compares recorded with current state over all weeks, whenever it runs. Checks of a partition's own
rows belong in `checks`.
"""

import dagster as dg

from semtel_dagster.automation import daily
from semtel_dagster.classifiers import Prompts
from semtel_dagster.planning.history import History
from semtel_dagster.planning.plan import Plan, make_plan
from semtel_dagster.planning.project import Project
from semtel_dagster.planning.staleness import MISSING
from semtel_dagster.planning.verdicts import ASSET, NAME
from semtel_dagster.planning.words import in_words, price_in_words, table_of
from semtel_dagster.settings import Settings

MOST_ROWS = 50


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
    figures = {name: value for name, value in plan.total.items() if value is not None}
    total = {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}
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

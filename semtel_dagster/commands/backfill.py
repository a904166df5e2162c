"""`semtel backfill`: does what the plan lists, newest week first, under a cap."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from semtel_dagster.commands.options import Classifiers, SettingsFile, Since, Until, Week, err, out
from semtel_dagster.commands.plan import choice, show

if TYPE_CHECKING:
    from semtel_dagster.planning.plan import Plan
    from semtel_dagster.planning.project import Project
    from semtel_dagster.requests.budget import Budget

NOTHING = "Nothing to do: every week is labelled by the prompts and models of now."

MaxCost = Annotated[float | None, typer.Option("--max-cost", min=0, help="Stop when so many USD are spent.")]
MaxCalls = Annotated[int | None, typer.Option("--max-calls", min=0, help="Stop when so many calls are made.")]
Retries = Annotated[int, typer.Option("--retries", min=0, help="Tries of a failed partition beyond the first.")]
Webserver = Annotated[
    str | None, typer.Option("--webserver", help="Launch on this Dagster webserver: http://127.0.0.1:3000.")
]


def backfill(
    settings: SettingsFile = None,
    week: Week = None,
    since: Since = None,
    until: Until = None,
    classifier: Classifiers = None,
    max_cost: MaxCost = None,
    max_calls: MaxCalls = None,
    retries: Retries = 2,
    webserver: Webserver = None,
) -> None:
    """Catch up: label what is missing or stale, newest week first. Launch it again to go on where it stopped."""
    from semtel_dagster.planning.budgets import budget_for
    from semtel_dagster.planning.project import Project
    from semtel_dagster.settings import load_settings

    project = Project.of(load_settings(settings))
    weeks, classifiers = choice(project, week, since, until, classifier)
    name = f"backfill-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S%f}"
    capped = max_cost is not None or max_calls is not None
    budget = budget_for(project.settings.storage, name, max_calls, max_cost) if capped else None
    if webserver:
        raise typer.Exit(_launch(project, weeks, classifiers, budget, webserver))
    raise typer.Exit(_run(project, weeks, classifiers, budget, retries, name))


def _run(
    project: Project, weeks: list[str], classifiers: list[str], budget: Budget | None, retries: int, name: str
) -> int:
    """Runs here, shows what was done and what is left, and returns the exit code."""
    from semtel_dagster.backfill import BACKFILL_TAG, Backfill
    from semtel_dagster.definitions import build_defs
    from semtel_dagster.jobs import LABEL_JOB
    from semtel_dagster.planning.history import History
    from semtel_dagster.planning.plan import Plan, stale_partitions
    from semtel_dagster.progress import Progress
    from semtel_dagster.reporting.console import run_table
    from semtel_dagster.runs import open_instance
    from semtel_dagster.terminal import StepBars

    with open_instance(project.settings.storage) as instance:
        stale = stale_partitions(project, History.read(instance), weeks, classifiers)
        if not stale:
            out.print(NOTHING)
            return 0
        outcomes: dict[Any, Any] = {}
        with StepBars(err, len(stale) + len({each.week for each in stale})) as bars:
            defs = build_defs(project.settings, progress=Progress(bars.watch))
            work = Backfill(project, defs, instance, budget, retries, {BACKFILL_TAG: name})
            for step, outcome in work.run(weeks, classifiers):
                stopped = step in work.stopped
                title = f"{step.title}, stopped by the cap" if stopped else step.title
                bars.show(title, outcome.error if outcome and not stopped else None, finished=outcome is not None)
                if outcome and not stopped:
                    outcomes[step] = outcome
    labelled = [outcome.labelled().as_json() for step, outcome in outcomes.items() if step.job == LABEL_JOB]
    if labelled:
        out.print(run_table(labelled))
    elif not (outcomes or work.failed or work.left):
        out.print(NOTHING)
    for step, error in work.failed.items():
        err.print(f"[red]failed[/]    {step.title}: ", end="")
        err.print(error, markup=False, highlight=False)
    _tell_what_is_left(Plan(tuple(work.left)), budget)
    return 1 if work.failed else 0


def _tell_what_is_left(left: Plan, budget: Budget | None) -> None:
    from semtel_dagster.planning.words import price_in_words

    if budget is not None:
        spent = budget.spent()
        out.print(f"[bold]Spent[/]     {spent.calls:,} calls, ${spent.cost_usd:,.4f}")
    if left.partitions:
        show(left, "left when the cap was reached")
        out.print(f"[bold]Left[/]      {price_in_words(left)}; run semtel backfill again to go on", soft_wrap=True)


def _launch(project: Project, weeks: list[str], classifiers: list[str], budget: Budget | None, webserver: str) -> int:
    """Launches on a webserver what the cap allows by the plan; the budget travels in the runs' tags all the same."""
    from semtel_dagster.planning.budgets import tags_of
    from semtel_dagster.planning.history import History
    from semtel_dagster.planning.observe import observe_prompts
    from semtel_dagster.planning.plan import make_plan, stale_partitions, within
    from semtel_dagster.planning.words import price_in_words
    from semtel_dagster.runs import open_instance
    from semtel_dagster.webserver import backfill_params, launch

    with open_instance(project.settings.storage) as instance:
        observe_prompts(project.prompts, instance)
        planned = make_plan(project, instance, weeks, classifiers)
        stale = stale_partitions(project, History.read(instance), weeks, classifiers)
    planned, held = _let_through(project, planned)
    chosen, left = within(planned, budget)
    if not chosen.partitions:
        out.print("Nothing to launch." if not left.partitions else "The cap allows no partition.")
        return 1 if held else 0
    prepare = {each.week for each in stale if each.prepare} & {each.week for each in chosen.partitions}
    title = f"semtel: {price_in_words(chosen)}"
    identifier = launch(webserver, backfill_params(chosen.partitions, prepare, title, tags_of(budget)))
    show(chosen, "launched")
    out.print(f"[bold]Backfill[/]  {webserver.rstrip('/')}/runs/b/{identifier}", soft_wrap=True)
    _tell_what_is_left(left, None)
    return 1 if held else 0


def _let_through(project: Project, planned: Plan) -> tuple[Plan, set[str]]:
    """What the gate lets a webserver launch, and the classifiers that it holds, which it tells about."""
    from dataclasses import replace

    from semtel_dagster.planning.staleness import PARSER

    asked = {each.classifier for each in planned.partitions if each.reason != PARSER}
    held = {name: decision for name in sorted(asked) if not (decision := project.decision(name)).passed}
    for name, decision in held.items():
        out.print(f"[red]held[/]      {name}: {decision.because}", highlight=False, soft_wrap=True)
    free = tuple(each for each in planned.partitions if each.classifier not in held or each.reason == PARSER)
    return replace(planned, partitions=free), set(held)

"""`semtel plan`: what a run or a backfill would do. It launches nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from semtel_dagster.commands.options import (
    AsJson,
    Classifiers,
    SettingsFile,
    Since,
    Until,
    Week,
    out,
    select_classifiers,
    select_weeks,
)

if TYPE_CHECKING:
    from semtel_dagster.planning.plan import Plan
    from semtel_dagster.planning.project import Project


def plan(
    settings: SettingsFile = None,
    week: Week = None,
    since: Since = None,
    until: Until = None,
    classifier: Classifiers = None,
    as_json: AsJson = False,
) -> None:
    """Say what is stale and why, and what catching up takes: calls, tokens, cost, time. Launches nothing."""
    from semtel_dagster.planning.history import History
    from semtel_dagster.planning.plan import make_plan
    from semtel_dagster.planning.project import Project
    from semtel_dagster.planning.words import in_words
    from semtel_dagster.runs import open_instance
    from semtel_dagster.settings import load_settings

    project = Project.of(load_settings(settings))
    weeks, classifiers = choice(project, week, since, until, classifier)
    with open_instance(project.settings.storage) as instance:
        made = make_plan(project, instance, weeks, classifiers)
        if as_json:
            typer.echo(json.dumps(made.as_json()))
            return
        show(made, "plan")
        out.print(in_words(project, History.read(instance), made).replace("**", ""), markup=False, highlight=False)


def show(made: Plan, title: str) -> None:
    """Prints a plan's partitions, if it has any."""
    from semtel_dagster.reporting.planned import plan_table

    if made.partitions:
        out.print(plan_table(title, made.as_json()["partitions"]))


def choice(
    project: Project, week: str | None, since: str | None, until: str | None, classifiers: list[str] | None
) -> tuple[list[str], list[str]]:
    """The weeks and classifiers that the options name."""
    weeks = select_weeks(list(project.weeks), week, since, until, what="complete weeks")
    return weeks, select_classifiers(list(project.prompts), classifiers)

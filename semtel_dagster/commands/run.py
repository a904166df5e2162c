"""`semtel run`: materialize weeks, in order, and show what came out."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from semtel_dagster.commands.options import (
    AsJson,
    Classifiers,
    SettingsFile,
    Since,
    Until,
    Week,
    err,
    out,
    select_classifiers,
    select_weeks,
)
from semtel_dagster.errors import SourceError

if TYPE_CHECKING:
    from semtel_dagster.runs import LabelledPartition, Outcome, Step
    from semtel_dagster.settings import Settings


def run(
    settings: SettingsFile = None,
    week: Week = None,
    since: Since = None,
    until: Until = None,
    classifier: Classifiers = None,
    as_json: AsJson = False,
) -> None:
    """Materialize weeks: by default every complete week that the source has."""
    raise typer.Exit(run_weeks(settings, week, since, until, classifier, as_json=as_json))


def run_weeks(
    file: Path | None,
    week: str | None,
    since: str | None,
    until: str | None,
    classifiers: list[str] | None,
    *,
    as_json: bool,
) -> int:
    """Runs every step of the weeks asked for and returns the exit code."""
    from semtel_dagster.partitions import make_partitions
    from semtel_dagster.prompts.loader import load_classifiers
    from semtel_dagster.runs import steps_of
    from semtel_dagster.settings import load_settings
    from semtel_dagster.sources.weeks import source_weeks

    loaded = load_settings(file)
    prompts = load_classifiers(loaded.prompts, loaded.classifiers)
    chosen = select_classifiers(list(prompts), classifiers)
    complete = make_partitions(loaded.first_week, list(prompts)).weeks()
    in_source = source_weeks(loaded.source)
    if week or since or until:
        weeks = select_weeks(complete, week, since, until, what="complete weeks")
    else:
        weeks = [each for each in complete if each in {day.isoformat() for day in in_source}]
        if not weeks:
            raise SourceError(_nothing_to_do(in_source, complete))
    return execute(loaded, steps_of(weeks, chosen), as_json=as_json)


def execute(settings: Settings, steps: Sequence[Step], *, as_json: bool) -> int:
    """Runs steps with progress, prints what came out, and returns the exit code."""
    from semtel_dagster.definitions import build_defs
    from semtel_dagster.jobs import LABEL_JOB
    from semtel_dagster.progress import Progress
    from semtel_dagster.runs import open_instance, run_all
    from semtel_dagster.terminal import StepBars

    outcomes = []
    with open_instance(settings.storage) as instance, StepBars(err, len(steps)) as bars:
        defs = build_defs(settings, progress=Progress(bars.watch))
        for step, outcome in run_all(steps, defs, instance):
            bars.show(step.title, outcome.error if outcome else None, finished=outcome is not None)
            if outcome:
                outcomes.append(outcome)
    labelled = [outcome.labelled() for outcome in outcomes if outcome.step.job == LABEL_JOB]
    if as_json:
        typer.echo(json.dumps([partition.as_json() for partition in labelled]))
    elif labelled:
        _print_tables(settings, labelled)
    if not as_json:
        _print_places(settings, outcomes)
    return 1 if any(outcome.error for outcome in outcomes) else 0


def _print_tables(settings: Settings, labelled: Sequence[LabelledPartition]) -> None:
    """What the run did, the newest week's shares, the rows of every week, and agreement with human labels."""
    from semtel_dagster.estimation.change import changes
    from semtel_dagster.prompts.loader import load_classifiers
    from semtel_dagster.reporting.agreement import agreement_with_gold, load_gold
    from semtel_dagster.reporting.console import agreement_table, run_table, weekly_tables

    weeks = sorted({partition.week for partition in labelled})
    out.print(run_table([partition.as_json() for partition in labelled]))
    for table in weekly_tables(settings.storage, weeks, changes):
        out.print(table)
    if settings.gold:
        prompts = load_classifiers(settings.prompts, settings.classifiers)
        until = dt.date.fromisoformat(weeks[-1])
        agreement = agreement_with_gold(settings.storage, prompts, load_gold(settings.gold), until)
        if agreement:
            out.print(agreement_table(agreement.values()))


def _nothing_to_do(in_source: Mapping[dt.date, int], complete: Sequence[str]) -> str:
    if not in_source:
        return "the source holds no conversation with a usable time; see: semtel check"
    return (
        f"the source's conversations are from {min(in_source)} to {max(in_source)} (weeks), but the complete weeks are "
        f"{complete[0]} to {complete[-1]}; set first_week in the settings"
        if complete
        else f"no week since first_week is complete; the source's first week is {min(in_source)}"
    )


def _print_places(settings: Settings, outcomes: Sequence[Outcome]) -> None:
    from semtel_dagster.datasets import WAREHOUSE
    from semtel_dagster.reporting.weekly import report_path

    reports = [
        report_path(settings.storage, outcome.step.week) for outcome in outcomes if "weekly_report" in outcome.metadata
    ]
    out.print()
    if reports:
        out.print(f"[bold]Report[/]    {reports[-1]}", soft_wrap=True)
        out.print(f"[bold]DuckDB[/]    {Path(settings.storage) / WAREHOUSE}", soft_wrap=True)
    out.print(f"[bold]Tables[/]    {settings.storage}", soft_wrap=True)
    waiting = sum(int(outcome.metadata.get("responses", {}).get("waiting", 0)) for outcome in outcomes)
    if waiting:
        brings = "semtel collect, or the sensor collect_batches, brings their answers"
        out.print(f"[bold]Waiting[/]   {waiting:,} conversations wait for batches; {brings}", soft_wrap=True)
    for outcome in outcomes:
        if outcome.error:
            err.print(f"[red]failed[/]    {outcome.step.title}: ", end="")
            err.print(outcome.error, markup=False, highlight=False)

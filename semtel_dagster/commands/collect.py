"""`semtel collect`: looks at open batches, and brings their answers into the tables."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from semtel_dagster.commands.options import AsJson, SettingsFile, err, out

if TYPE_CHECKING:
    from semtel_dagster.batches.batch import Batch
    from semtel_dagster.batches.tending import Tender
    from semtel_dagster.runs import Outcome, Step
    from semtel_dagster.settings import Settings

Wait = Annotated[bool, typer.Option("--wait", help="Poll until no batch is open.")]


def collect(settings: SettingsFile = None, wait: Wait = False, as_json: AsJson = False) -> None:
    """Look at open batches once (or until all have ended), and make the weeks again that waited for them."""
    from semtel_dagster.collecting import tender_of
    from semtel_dagster.planning.project import Project
    from semtel_dagster.settings import load_settings

    loaded = load_settings(settings)
    project = Project.of(loaded)
    tender = tender_of(loaded, project.request_plan)
    seen: dict[str, Batch] = {}
    outcomes: list[Outcome] = []
    while True:
        seen |= {batch.name: batch for batch in _poll(tender)}
        outcomes += _make(loaded, project)
        if not wait or not tender.store.open():
            break
        time.sleep(loaded.batch.poll_s)
    batches = list(seen.values())
    if as_json:
        partitions = [outcome.labelled().as_json() for outcome in outcomes if outcome.step.classifier]
        typer.echo(json.dumps({"batches": [batch.model_dump() for batch in batches], "partitions": partitions}))
    else:
        _show(loaded, batches, outcomes)
    for name, fault in tender.faults.items():
        err.print(f"[yellow]batch {name}[/]  ", end="")
        err.print(fault, markup=False, highlight=False)
    raise typer.Exit(1 if any(outcome.error for outcome in outcomes) else 0)


def _poll(tender: Tender) -> list[Batch]:
    with err.status("looking at open batches"):
        return tender.tend_all()


def _make(settings: Settings, project: Any) -> list[Outcome]:
    """Makes what has answers now, and the reports of these weeks."""
    from semtel_dagster.collecting import answered_partitions
    from semtel_dagster.definitions import build_defs
    from semtel_dagster.planning.history import History
    from semtel_dagster.progress import Progress
    from semtel_dagster.runs import open_instance, run_all
    from semtel_dagster.terminal import StepBars

    with open_instance(settings.storage) as instance:
        steps = _steps(answered_partitions(project, History.read(instance)))
        if not steps:
            return []
        outcomes = []
        with StepBars(err, len(steps)) as bars:
            defs = build_defs(settings, progress=Progress(bars.watch))
            for step, outcome in run_all(steps, defs, instance):
                bars.show(step.title, outcome.error if outcome else None, finished=outcome is not None)
                if outcome:
                    outcomes.append(outcome)
    return outcomes


def _steps(partitions: list[tuple[str, str]]) -> list[Step]:
    from semtel_dagster.jobs import LABEL_JOB, REPORT_JOB
    from semtel_dagster.runs import Step

    weeks = sorted({week for week, _ in partitions})
    return [
        step
        for week in weeks
        for step in (
            *(Step(LABEL_JOB, week, classifier) for each, classifier in sorted(partitions) if each == week),
            Step(REPORT_JOB, week),
        )
    ]


def _show(settings: Settings, batches: list[Batch], outcomes: list[Outcome]) -> None:
    from semtel_dagster.reporting.console import run_table

    if batches:
        out.print(_table(batches))
    labelled = [outcome.labelled().as_json() for outcome in outcomes if outcome.step.classifier]
    if labelled:
        out.print(run_table(labelled))
    for outcome in outcomes:
        if outcome.error:
            err.print(f"[red]failed[/]    {outcome.step.title}: ", end="")
            err.print(outcome.error, markup=False, highlight=False)
    if not batches and not outcomes:
        out.print("No batch is open, and no week waits for one.")
    elif any(batch.is_open for batch in batches):
        out.print(
            f"[bold]Open[/]      run semtel collect again, or --wait; or leave it to the sensor in {settings.storage}"
        )


def _table(batches: list[Batch]) -> Any:
    from rich.table import Table

    table = Table("week", "classifier", "endpoint", "asked", "state", "hours", "answered", "left", box=None)
    for batch in batches:
        hours = ((batch.ended_at or time.time()) - batch.made_at) / 3600
        state = batch.ending or batch.remote_status or batch.status
        counts = (f"{batch.answered:,}", f"{batch.released:,}") if batch.ended_at else ("", "")
        row = (batch.week, batch.classifier, batch.endpoint, f"{batch.requests:,}", state, f"{hours:.1f}", *counts)
        table.add_row(*row)
    return table

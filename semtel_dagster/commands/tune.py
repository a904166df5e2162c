"""`semtel tune`: which cost reducers pay on your own conversations, and the settings that keep the wanted agreement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    prepared_weeks,
    select_classifiers,
)

if TYPE_CHECKING:
    from semtel_dagster.settings import Settings
    from semtel_dagster.tuning.running import Found, Tuning
    from semtel_dagster.tuning.writing import Fields

Agreement = Annotated[float, typer.Option("--agreement", min=0.5, max=0.999, help="Wanted, with single calls.")]
Confidence = Annotated[float, typer.Option("--confidence", min=0.5, max=0.999, help="With which it is wanted.")]
SampleSize = Annotated[int, typer.Option("--sample", min=20, help="Conversations to try the ways on, at most.")]
Batch = Annotated[bool, typer.Option("--batch", help="The endpoint has a Batch API: consider its price.")]
Repeats = Annotated[int, typer.Option("--repeats", min=1, max=2, help="2: ask twice, to see how many labels change.")]
Write = Annotated[bool, typer.Option("--write", help="Write the chosen settings into the settings file.")]


def tune(
    settings: SettingsFile = None,
    agreement: Agreement = 0.99,
    confidence: Confidence = 0.95,
    sample: SampleSize = 1000,
    classifier: Classifiers = None,
    week: Week = None,
    since: Since = None,
    until: Until = None,
    batch: Batch = False,
    repeats: Repeats = 2,
    write: Write = False,
    as_json: AsJson = False,
) -> None:
    """Try the cost reducers on a sample of your conversations; show cost against agreement; choose the settings."""
    from semtel_dagster.prompts.loader import load_classifiers
    from semtel_dagster.requests.plan import plan_for
    from semtel_dagster.settings import load_settings
    from semtel_dagster.tuning.running import Tuning, remote
    from semtel_dagster.tuning.sample import sample_of
    from semtel_dagster.tuning.students import students_of
    from semtel_dagster.tuning.writing import settings_file

    file = settings_file(settings) if write else None
    loaded = load_settings(settings)
    compiled = load_classifiers(loaded.prompts, loaded.classifiers)
    plan = remote(plan_for(loaded))
    prompts = {name: compiled[name] for name in select_classifiers(list(compiled), classifier)}
    chosen = sample_of(loaded, sample, prepared_weeks(loaded.storage, week, since, until))
    tuning = Tuning(
        sample=chosen,
        prompts=prompts,
        plan=plan,
        agreement=agreement,
        confidence=confidence,
        batch_factor=loaded.batch.price_factor if batch or loaded.batch.enabled else None,
        repeats=repeats,
        students=students_of(chosen, prompts, agreement, confidence),
    )
    found, fault = _run(tuning)
    if found is not None:
        _show(loaded, tuning, found, file, as_json=as_json)
    if fault:
        err.print(f"[red]failed[/]    {fault}", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if fault else 0)


def _run(tuning: Tuning) -> tuple[Found | None, str]:
    """What was found, or why nothing was."""
    from semtel_dagster.errors import EndpointError
    from semtel_dagster.terminal import StepBars
    from semtel_dagster.tuning.running import run

    before = ""
    with StepBars(err, sum(len(each) for each in tuning.sequences())) as bars:
        try:
            for title, found in run(tuning, lambda figures: bars.watch("", figures)):
                if before:
                    bars.show(f"tune {before}", None, finished=True)
                if found is not None:
                    return found, ""
                bars.show(f"tune {title}", None, finished=False)
                before = title
        except EndpointError as error:
            return None, str(error)
    return None, ""


def _show(settings: Settings, tuning: Tuning, found: Found, file: Path | None, *, as_json: bool) -> None:
    from semtel_dagster.evaluation.records import write_whole
    from semtel_dagster.reporting.charts import to_svg
    from semtel_dagster.tuning import showing
    from semtel_dagster.tuning.asking import FOLDER
    from semtel_dagster.tuning.ways import groups_of
    from semtel_dagster.tuning.writing import fields_of
    from semtel_dagster.tuning.writing import write as write_settings

    way, students = found.choice.chosen.way, tuning.students
    fields = fields_of(way, settings, groups_of(list(tuning.prompts)), students)
    chart = Path(settings.storage, FOLDER, "frontier.svg")
    write_whole(chart, to_svg(showing.chart(found, tuning.agreement), 640).encode())
    if file is not None and way.cascade:
        students.keep(settings.storage)
    if file is not None and fields:
        write_settings(file, fields)
    if as_json:
        document = showing.as_json(found, tuning.agreement, tuning.confidence, fields)
        typer.echo(json.dumps(document | {"chart": str(chart), "written": str(file) if file and fields else None}))
        return
    out.print(showing.table(found, tuning.agreement))
    for note in found.notes:
        out.print(note, style="yellow", markup=False, highlight=False)
    _say(found, fields, file)
    out.print(f"[bold]Chart[/]     {chart}", soft_wrap=True)


def _say(found: Found, fields: Fields, file: Path | None) -> None:
    from semtel_dagster.tuning.writing import as_yaml

    out.print(f"[bold]Chosen[/]    {found.choice.chosen.way.name}", highlight=False)
    if not fields:
        out.print("The settings ask in this way already.")
        return
    out.print(as_yaml(fields), markup=False, highlight=False)
    if file is None:
        out.print("[dim]Nothing was written; --write puts this into the settings file.[/]")
    else:
        out.print(f"[bold]Written[/]   {file}", soft_wrap=True)

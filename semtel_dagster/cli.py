"""The semtel command: a thin front on Dagster. Everything it does can be done in the UI.

Results go to standard output, progress and errors to standard error. Exit codes: 0 all done; 1 something failed
(what landed stays landed); 2 the settings or arguments are wrong.
"""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from semtel_dagster.errors import SettingsError, SourceError

app = typer.Typer(
    name="semtel",
    help="Semantic telemetry: weekly, trustworthy numbers about what people do with an AI assistant.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
out, err = Console(), Console(stderr=True)

SettingsFile = Annotated[Path | None, typer.Option("--settings", help="Settings file; default: semtel.yaml here.")]
Week = Annotated[str | None, typer.Option("--week", help="One week, by its Monday: 2026-11-09.")]
Since = Annotated[str | None, typer.Option("--since", help="The first week.")]
Until = Annotated[str | None, typer.Option("--until", help="The last week.")]
Classifiers = Annotated[list[str] | None, typer.Option("--classifier", help="Only this classifier; may be repeated.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where the demo project goes.")] = Path("semtel-demo"),
) -> None:
    """Run the whole pipeline over the shipped demo conversations: no key, no server."""
    from semtel_dagster.demo import write_project

    project = write_project(folder)
    err.print(
        f"[bold]Semantic telemetry demo[/] in {project.folder}: {project.conversations} conversations, "
        f"{len(project.weeks)} weeks. Labels come from a small embedded model: quick, free, and far from an LLM."
    )
    failed = _run(project.settings_file, None, None, None, None, as_json=False)
    _print_demo_ending(project.folder)
    raise typer.Exit(failed)


@app.command()
def run(
    settings: SettingsFile = None,
    week: Week = None,
    since: Since = None,
    until: Until = None,
    classifier: Classifiers = None,
    as_json: AsJson = False,
) -> None:
    """Materialize weeks: by default every complete week that the source has."""
    raise typer.Exit(_run(settings, week, since, until, classifier, as_json=as_json))


@app.command()
def check(settings: SettingsFile = None) -> None:
    """Look over settings, source, prompts and endpoints: what is wrong, and how to mend it."""
    from semtel_dagster.diagnosis import diagnose
    from semtel_dagster.settings import load_settings

    findings = diagnose(load_settings(settings))
    for finding in findings:
        mark = "[green]ok[/]   " if finding.ok else "[red]wrong[/]"
        out.print(f"{mark} [bold]{finding.about}[/] ", end="")
        out.print(finding.says, markup=False, highlight=False)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@app.command()
def report(settings: SettingsFile = None, week: Week = None, since: Since = None, until: Until = None) -> None:
    """Write the weekly HTML report again from the tables, without labelling anything."""
    from semtel_dagster.datasets import partition_folder
    from semtel_dagster.definitions import REPORT_JOB
    from semtel_dagster.runs import Step
    from semtel_dagster.settings import load_settings

    loaded = load_settings(settings)
    shares = partition_folder(loaded.storage, "label_shares", "").parent
    labelled = sorted(path.name.removeprefix("week=") for path in shares.glob("week=*"))
    if not labelled:
        raise SettingsError(f"there are no label shares under {loaded.storage} yet; start with: semtel run")
    weeks = _select(labelled, week, since, until, what="labelled weeks") if week or since or until else labelled[-1:]
    raise typer.Exit(_execute(loaded, [Step(REPORT_JOB, each) for each in weeks], as_json=False))


def _run(
    file: Path | None,
    week: str | None,
    since: str | None,
    until: str | None,
    classifiers: list[str] | None,
    *,
    as_json: bool,
) -> int:
    from semtel_dagster.partitions import make_partitions
    from semtel_dagster.prompts.loader import load_classifiers
    from semtel_dagster.runs import steps_of
    from semtel_dagster.settings import load_settings
    from semtel_dagster.sources.weeks import source_weeks

    loaded = load_settings(file)
    prompts = load_classifiers(loaded.prompts, loaded.classifiers)
    unknown = sorted(set(classifiers or ()) - set(prompts))
    if unknown:
        raise SettingsError(f"unknown classifier {', '.join(unknown)}; there are: {', '.join(prompts)}")
    complete = make_partitions(loaded.first_week, list(prompts)).weeks()
    in_source = source_weeks(loaded.source)
    if week or since or until:
        weeks = _select(complete, week, since, until, what="complete weeks")
    else:
        weeks = [each for each in complete if each in {day.isoformat() for day in in_source}]
        if not weeks:
            raise SourceError(_nothing_to_do(in_source, complete))
    return _execute(loaded, steps_of(weeks, classifiers or list(prompts)), as_json=as_json)


def _execute(settings: Any, steps: list[Any], *, as_json: bool) -> int:
    from semtel_dagster.definitions import build_defs
    from semtel_dagster.progress import Progress
    from semtel_dagster.reporting.console import run_table, weekly_tables
    from semtel_dagster.runs import LABEL_JOB, open_instance, run_all
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
        out.print(run_table([partition.as_json() for partition in labelled]))
        for table in weekly_tables(settings.storage, sorted({partition.week for partition in labelled})):
            out.print(table)
    if not as_json:
        _print_places(settings, outcomes)
    return 1 if any(outcome.error for outcome in outcomes) else 0


def _select(known: list[str], week: str | None, since: str | None, until: str | None, *, what: str) -> list[str]:
    """The weeks asked for, of those known; an unknown one is an error that names the nearest."""
    if not known:
        raise SettingsError(f"there are no {what} yet; set first_week to an earlier Monday")
    if week and (since or until):
        raise SettingsError("give either --week or --since/--until")
    for asked in filter(None, (week, since, until)):
        if asked not in known:
            raise SettingsError(
                f"{asked} is not one of the {what}: they are the Mondays from {known[0]} to {known[-1]}"
            )
    first, last = (week, week) if week else (since or known[0], until or known[-1])
    return [each for each in known if first <= each <= last]  # type: ignore[operator]


def _nothing_to_do(in_source: Any, complete: list[str]) -> str:
    if not in_source:
        return "the source holds no conversation with a usable time; see: semtel check"
    return (
        f"the source's conversations are from {min(in_source)} to {max(in_source)} (weeks), but the complete weeks are "
        f"{complete[0]} to {complete[-1]}; set first_week in the settings"
        if complete
        else f"no week since first_week is complete; the source's first week is {min(in_source)}"
    )


def _print_places(settings: Any, outcomes: list[Any]) -> None:
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
    for outcome in outcomes:
        if outcome.error:
            err.print(f"[red]failed[/]    {outcome.step.title}: ", end="")
            err.print(outcome.error, markup=False, highlight=False)


def _print_demo_ending(folder: Path) -> None:
    out.print(f"[bold]Dagster[/]   cd {folder} && dagster dev     [dim]# then http://127.0.0.1:3000[/]", soft_wrap=True)
    out.print(
        f"[bold]Next[/]      put your own source and endpoints into a copy of {folder / 'semtel.yaml'}", soft_wrap=True
    )


def main() -> None:
    """Runs the command line and turns errors of settings and source into one line and exit code 2."""
    warnings.filterwarnings("ignore")
    logging.getLogger("dagster").setLevel(logging.ERROR)
    try:
        app()
    except (SettingsError, SourceError) as error:
        err.print("[red]error[/] ", end="")
        err.print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(2) from None

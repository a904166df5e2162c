"""`semtel evaluate`: prompts and models against people, against a baseline, and against themselves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    from semtel_dagster.evaluation.records import Evaluation
    from semtel_dagster.settings import Settings
    from semtel_dagster.trials.running import Trial

Gold = Annotated[list[str] | None, typer.Option("--gold", help="Golden files or globs; default: the setting gold.")]
Prompts = Annotated[Path | None, typer.Option("--prompts", help="Folder of prompts to try; default: the settings'.")]
Endpoints = Annotated[list[str] | None, typer.Option("--endpoint", help="Only this endpoint; may be repeated.")]
Sample = Annotated[int, typer.Option("--sample", min=0, help="Conversations without labels, at most.")]
Repeats = Annotated[int, typer.Option("--repeats", min=1, help="Ask each conversation so often: self-consistency.")]
Baseline = Annotated[str | None, typer.Option("--baseline", help="Id of the evaluation to compare with.")]
Injections = Annotated[bool, typer.Option("--injections", help="Also measure how many labels attacks move.")]
Attacks = Annotated[Path | None, typer.Option("--attacks", help="Your own file of attacks, with --injections.")]
Seed = Annotated[int, typer.Option("--seed", help="Of bootstraps and permutations.")]


def evaluate(
    settings: SettingsFile = None,
    gold: Gold = None,
    prompts: Prompts = None,
    endpoint: Endpoints = None,
    classifier: Classifiers = None,
    week: Week = None,
    since: Since = None,
    until: Until = None,
    sample: Sample = 200,
    repeats: Repeats = 1,
    baseline: Baseline = None,
    injections: Injections = False,
    attacks: Attacks = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Score prompts and models against human labels and a baseline, before they run on everything."""
    from semtel_dagster.embedding import zero_shot
    from semtel_dagster.evaluation.golden import GoldenSet, load_golden
    from semtel_dagster.evaluation.injections import load_attacks
    from semtel_dagster.prompts.loader import load_classifiers
    from semtel_dagster.requests.plan import plan_for
    from semtel_dagster.settings import load_settings
    from semtel_dagster.trials.running import Trial, plans_by_model

    loaded = load_settings(settings)
    compiled = load_classifiers(prompts or loaded.prompts, () if prompts else loaded.classifiers)
    chosen = select_classifiers(list(compiled), classifier)
    patterns = gold or ([loaded.gold] if loaded.gold else [])
    plan = plan_for(loaded, zero_shot.load)
    trial = Trial(
        settings=loaded,
        prompts={name: compiled[name] for name in chosen},
        golden=load_golden(patterns) if patterns else GoldenSet(),
        sample=sample,
        weeks=prepared_weeks(loaded.storage, week, since, until),
        repeats=repeats,
        baseline=baseline,
        attacks=load_attacks(attacks) if injections else (),
        seed=seed,
    )
    models = plans_by_model(plan, endpoint or ())
    found, fault = _run(trial, models)
    if found:
        _show(loaded, found, as_json=as_json)
    if fault:
        err.print(f"[red]failed[/]    {fault}", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if fault else 0)


def _run(trial: Trial, models: dict[str, Any]) -> tuple[list[Evaluation], str]:
    """The evaluations, and why there are not more of them."""
    from semtel_dagster.errors import EndpointError
    from semtel_dagster.terminal import StepBars
    from semtel_dagster.trials.running import run

    found = []
    with StepBars(err, len(trial.prompts) * len(models)) as bars:
        try:
            for title, evaluation in run(trial, models, lambda figures: bars.watch("", figures)):
                bars.show(f"evaluate {title}", None, finished=evaluation is not None)
                if evaluation is not None:
                    found.append(evaluation)
        except EndpointError as error:
            return found, str(error)
    return found, ""


def _show(settings: Settings, found: Sequence[Evaluation], *, as_json: bool) -> None:
    from semtel_dagster.evaluation.records import load
    from semtel_dagster.trials.console import evaluation_table, explained, robustness_table
    from semtel_dagster.trials.page import write_page

    history = {each.classifier: load(settings.storage, each.classifier) for each in found}
    page = write_page(settings.storage, found, history)
    if as_json:
        typer.echo(json.dumps({"evaluations": [_as_json(each) for each in found], "page": str(page)}))
        return
    out.print(evaluation_table(found))
    for style, reason in explained(found):
        out.print(reason, style=style, markup=False, highlight=False)
    attacked = robustness_table(found)
    if attacked is not None:
        out.print(attacked)
    out.print(f"\n[bold]Page[/]      {page}", soft_wrap=True)


def _as_json(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation without the labels of single conversations, which the kept record has."""
    from pydantic import TypeAdapter

    document: dict[str, Any] = TypeAdapter(type(evaluation)).dump_python(
        evaluation, mode="json", exclude={"golden_labels", "sample_labels"}
    )
    return document

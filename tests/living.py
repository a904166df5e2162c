"""Builders for tests of staleness and backfills: a project with its own prompt files, its weeks, its calls."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg

from semtel_dagster.backfill import Backfill
from semtel_dagster.definitions import build_defs
from semtel_dagster.planning.plan import Plan, make_plan
from semtel_dagster.planning.project import Project
from semtel_dagster.prompts.loader import shipped_folder
from semtel_dagster.requests.budget import Budget
from semtel_dagster.runs import Outcome, Step, run_all, steps_of
from semtel_dagster.settings import Settings, load_settings
from tests.pipeline import conversation, project

WEEKS = ("2026-10-05", "2026-10-12")
CLASSIFIERS = ["expertise", "intent"]


def living_project(
    folder: Path, per_week: int = 6, *, rows: list[dict[str, object]] | None = None, **fields: object
) -> Settings:
    """A project whose prompt files may be edited; by default two weeks for two classifiers, one text in both weeks."""
    shutil.copytree(shipped_folder(), folder / "prompts")
    rows = rows or [one for week in range(2) for one in week_of_conversations(week, per_week)]
    return project(folder, rows, **{"prompts": "./prompts", "classifiers": CLASSIFIERS, **fields})


def week_of_conversations(week: int, count: int) -> list[dict[str, object]]:
    """Conversations of one week of October 2026; the first has the same text in every week."""
    return [
        conversation(
            100 * week + number,
            f"Please help me with {'the same thing' if number == 0 else f'case {100 * week + number}'}, step by step.",
            "Here is how it goes.",
            day=5 + 7 * week,
            user=f"u{number}",
        )
        for number in range(count)
    ]


def edit(settings: Settings, classifier: str, *changes: tuple[str, str]) -> None:
    """Replaces texts in a prompt file; a text that is not there is an error of the test."""
    assert settings.prompts
    file = Path(settings.prompts, f"{classifier}.prompty")
    text = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    file.write_text(text, encoding="utf-8")


def reloaded(settings: Settings, **overrides: object) -> Settings:
    """The settings file read again."""
    return load_settings(Path(settings.storage).parent / "semtel.yaml", **overrides)


def labelled_template(folder: Path) -> Path:
    """A project whose two weeks are labelled, with its instance; tests work on copies, since labelling takes time."""
    settings = living_project(folder)
    with local_instance(folder) as instance:
        label(settings, instance)
    return folder


def copy_of(template: Path, folder: Path) -> Settings:
    """A copy of a project with its tables and its instance."""
    shutil.copytree(template, folder, dirs_exist_ok=True)
    return load_settings(folder / "semtel.yaml")


def local_instance(folder: Path) -> dg.DagsterInstance:
    """An instance on disk beside the project."""
    (folder / "instance").mkdir(exist_ok=True)
    return dg.DagsterInstance.local_temp(str(folder / "instance"))


def label(settings: Settings, instance: dg.DagsterInstance, *weeks: str) -> list[Outcome]:
    """Runs weeks for all classifiers."""
    steps = steps_of(weeks or WEEKS, list(settings.classifiers))
    outcomes = [outcome for _, outcome in run_all(steps, build_defs(settings), instance) if outcome]
    assert [outcome.error for outcome in outcomes] == [None] * len(steps)
    return outcomes


def planned(settings: Settings, instance: dg.DagsterInstance) -> Plan:
    """The plan over all weeks."""
    return make_plan(Project.of(settings), instance)


def reasons(plan: Plan) -> list[tuple[str, str, str, int]]:
    """Week, classifier, reason and calls of each partition, in order."""
    return [(each.week, each.classifier, each.reason, each.calls) for each in plan.partitions]


def catch_up(
    settings: Settings, instance: dg.DagsterInstance, budget: Budget | None = None, retries: int = 0
) -> tuple[Backfill, dict[Step, Outcome]]:
    """Runs a backfill to its end."""
    work = Backfill(Project.of(settings), build_defs(settings), instance, budget, retries)
    outcomes = {step: outcome for step, outcome in work.run() if outcome}
    return work, outcomes


def calls_of(outcomes: dict[Step, Outcome]) -> dict[tuple[str, str], int]:
    """Calls that each labelled partition made."""
    return {
        (step.week, step.classifier): outcome.labelled().calls for step, outcome in outcomes.items() if step.classifier
    }

"""`semtel diff`: how shares and labels moved between two versions of a prompt, before or after a backfill."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semtel_dagster.commands.options import AsJson, SettingsFile, Since, Until, Week, err, out
from semtel_dagster.commands.plan import choice

if TYPE_CHECKING:
    from semtel_dagster.comparing import Comparison

Classifier = Annotated[str, typer.Option("--classifier", help="Whose prompt.")]
Old = Annotated[str | None, typer.Option("--old", help="Fingerprint before; default: the one labelled with last.")]
New = Annotated[str | None, typer.Option("--new", help="Fingerprint after; default: the prompt of now.")]
Sample = Annotated[
    int | None, typer.Option("--sample", min=1, help="Ask the new prompt about so many conversations first.")
]
Page = Annotated[Path | None, typer.Option("--page", help="Where the page goes; default: <storage>/diffs.")]


def diff(
    classifier: Classifier,
    settings: SettingsFile = None,
    week: Week = None,
    since: Since = None,
    until: Until = None,
    old: Old = None,
    new: New = None,
    sample: Sample = None,
    page: Page = None,
    as_json: AsJson = False,
) -> None:
    """Show how labels moved between two versions of a prompt. Asks a model only with --sample."""
    from semtel_dagster.comparing import choose_prompts, compare
    from semtel_dagster.planning.project import Project
    from semtel_dagster.prompts.changes import changes
    from semtel_dagster.runs import open_instance
    from semtel_dagster.settings import load_settings

    project = Project.of(load_settings(settings))
    weeks, _ = choice(project, week, since, until, [classifier])
    with open_instance(project.settings.storage) as instance:
        before, after = choose_prompts(project, instance, classifier, old, new)
    comparison = compare(project, before, after, weeks, sample)
    what_changed = changes(before, after)
    if as_json:
        typer.echo(json.dumps(_document(comparison, what_changed)))
        return
    name = f"{classifier}-{before.fingerprint}-{after.fingerprint}.html"
    _show(comparison, what_changed, page or Path(project.settings.storage, "diffs", name))


def _show(comparison: Comparison, what_changed: list[str], place: Path) -> None:
    """Prints the tables and writes the page."""
    from semtel_dagster.reporting.flow_charts import flows_page, flows_table, shares_table

    name = comparison.new.classifier.name
    title = f"{name}: {comparison.old.fingerprint} to {comparison.new.fingerprint}"
    out.print(title, style="bold", highlight=False)
    for change in what_changed:
        out.print(f"- {change}", markup=False, highlight=False)
    for task in comparison.tasks:
        out.print(shares_table(task))
        if task.unchanged < 1:
            out.print(flows_table(task))
    if comparison.asked:
        err.print(f"{comparison.asked:,} calls were made; a backfill will find the answers in the journal")
    if comparison.unanswered:
        err.print(f"{comparison.unanswered:,} conversations have no new answer yet; --sample 200 asks about a few")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(flows_page(title, what_changed, comparison.tasks), encoding="utf-8")
    out.print(f"[bold]Page[/]      {place}", soft_wrap=True)


def _document(comparison: Comparison, what_changed: list[str]) -> dict[str, object]:
    return {
        "classifier": comparison.new.classifier.name,
        "old": comparison.old.fingerprint,
        "new": comparison.new.fingerprint,
        "changes": what_changed,
        "calls": comparison.asked,
        "unanswered": comparison.unanswered,
        "tasks": [asdict(task) for task in comparison.tasks],
    }

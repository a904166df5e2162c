"""`semtel annotate`: a person labels conversations, blind to the model, on a local page with the keyboard."""

from __future__ import annotations

import contextlib
import getpass
import re
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from semtel_dagster.commands.options import (
    Classifiers,
    SettingsFile,
    Since,
    Until,
    Week,
    out,
    prepared_weeks,
    select_classifiers,
)

Sample = Annotated[int, typer.Option("--sample", min=1, help="Conversations to label.")]
Annotator = Annotated[
    str | None, typer.Option("--annotator", help="Your name in the golden file; default: the user's.")
]
To = Annotated[Path | None, typer.Option("--to", help="The golden file; default: one of yours under the storage.")]
Port = Annotated[int, typer.Option("--port", help="0: a free one.")]
Browser = Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")]
Seed = Annotated[int, typer.Option("--seed", help="Another one draws other conversations.")]


def annotate(
    settings: SettingsFile = None,
    classifier: Classifiers = None,
    week: Week = None,
    since: Since = None,
    until: Until = None,
    sample: Sample = 100,
    annotator: Annotator = None,
    to: To = None,
    port: Port = 0,
    browser: Browser = True,
    seed: Seed = 0,
) -> None:
    """Label sampled conversations yourself, with keys, blind to the model's labels; every key is on disk at once."""
    from semtel_dagster.annotation.choosing import choose
    from semtel_dagster.annotation.notebook import Notebook
    from semtel_dagster.annotation.server import AnnotationServer, Session
    from semtel_dagster.annotation.summary import summarise
    from semtel_dagster.evaluation.golden import load_golden
    from semtel_dagster.prompts.loader import load_classifiers
    from semtel_dagster.settings import load_settings

    loaded = load_settings(settings)
    prompts = load_classifiers(loaded.prompts, loaded.classifiers)
    chosen = select_classifiers(list(prompts), classifier)
    tasks = [task for name in chosen for task in prompts[name].classifier.tasks]
    name = annotator or getpass.getuser()
    folder = Path(loaded.storage) / "evaluations" / "golden"
    path = to or folder / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}.jsonl"
    weeks = prepared_weeks(loaded.storage, week, since, until, table="truncated_conversations")
    items = choose(loaded.storage, sample, weeks, seed)
    beside = str(path.parent / "*.jsonl")  # the other annotators'
    with Notebook(path, name) as notebook:
        session = Session(items, tasks, notebook, lambda: summarise(load_golden([beside]), tasks, loaded.storage))
        with AnnotationServer(session, port) as server:
            out.print(f"[bold]Annotate[/]  {server.url}", soft_wrap=True)
            out.print(
                f"[bold]Golden[/]    {path}  [dim]({len(notebook)} labels so far; Ctrl+C ends)[/]", soft_wrap=True
            )
            if browser:
                webbrowser.open(server.url)
            with contextlib.suppress(KeyboardInterrupt):
                server.serve_forever()
        out.print(f"{len(notebook)} labels in {path}", soft_wrap=True)

"""`semtel accept`: a person takes responsibility for labels that moved, and says why."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from semtel_dagster.commands.options import SettingsFile, out

Name = Annotated[str, typer.Option("--classifier", help="The classifier whose newest evaluation is accepted.")]
Because = Annotated[str, typer.Option("--because", help="The reason; kept with your name and the time.")]
Prompts = Annotated[Path | None, typer.Option("--prompts", help="Folder of the prompts; default: the settings'.")]


def accept(classifier: Name, because: Because, settings: SettingsFile = None, prompts: Prompts = None) -> None:
    """Accept the newest evaluation of a classifier's prompt; it becomes the baseline, and runs are let through."""
    from semtel_dagster.errors import SettingsError
    from semtel_dagster.evaluation import gate
    from semtel_dagster.prompts.loader import load_classifiers
    from semtel_dagster.settings import load_settings

    loaded = load_settings(settings)
    known = load_classifiers(prompts or loaded.prompts, () if prompts else loaded.classifiers)
    if classifier not in known:
        raise SettingsError(f"unknown classifier {classifier}; there are: {', '.join(known)}")
    now = dt.datetime.now(dt.UTC)
    for each in gate.accept(loaded.storage, classifier, because, known[classifier].fingerprint, now=now):
        out.print(f"accepted {each.evaluation} ({each.verdict}) as {each.accepted_by}", highlight=False, soft_wrap=True)

"""What subcommands share: consoles, options, and the choice of weeks and classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from semtel_dagster.errors import SettingsError

out, err = Console(), Console(stderr=True)

SettingsFile = Annotated[Path | None, typer.Option("--settings", help="Settings file; default: semtel.yaml here.")]
Week = Annotated[str | None, typer.Option("--week", help="One week, by its Monday: 2026-11-09.")]
Since = Annotated[str | None, typer.Option("--since", help="The first week.")]
Until = Annotated[str | None, typer.Option("--until", help="The last week.")]
Classifiers = Annotated[list[str] | None, typer.Option("--classifier", help="Only this classifier; may be repeated.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]


def select_weeks(
    known: Sequence[str], week: str | None, since: str | None, until: str | None, *, what: str
) -> list[str]:
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
    return [each for each in known if first <= each <= last]


def prepared_weeks(
    storage: str, week: str | None, since: str | None, until: str | None, *, table: str = "distinct_conversations"
) -> list[str]:
    """The weeks asked for, of those that `table` has; none when no week is asked for, which stands for all."""
    if not (week or since or until):
        return []
    known = sorted(path.name.removeprefix("week=") for path in Path(storage, table).glob("week=*"))
    return select_weeks(known, week, since, until, what="prepared weeks")


def select_classifiers(known: Sequence[str], asked: Sequence[str] | None) -> list[str]:
    """The classifiers asked for, all when none is; an unknown one is an error that names those there are."""
    unknown = sorted(set(asked or ()) - set(known))
    if unknown:
        raise SettingsError(f"unknown classifier {', '.join(unknown)}; there are: {', '.join(known)}")
    return [name for name in known if not asked or name in asked]

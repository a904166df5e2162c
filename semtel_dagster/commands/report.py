"""`semtel report`: the weekly page again, from the tables."""

from __future__ import annotations

import typer

from semtel_dagster.commands.options import SettingsFile, Since, Until, Week, select_weeks
from semtel_dagster.commands.run import execute
from semtel_dagster.errors import SettingsError


def report(settings: SettingsFile = None, week: Week = None, since: Since = None, until: Until = None) -> None:
    """Write the weekly HTML report again from the tables, without labelling anything."""
    from semtel_dagster.datasets import partition_folder
    from semtel_dagster.jobs import REPORT_JOB
    from semtel_dagster.runs import Step
    from semtel_dagster.settings import load_settings

    loaded = load_settings(settings)
    shares = partition_folder(loaded.storage, "label_shares", "").parent
    labelled = sorted(path.name.removeprefix("week=") for path in shares.glob("week=*"))
    if not labelled:
        raise SettingsError(f"there are no label shares under {loaded.storage} yet; start with: semtel run")
    weeks = (
        select_weeks(labelled, week, since, until, what="labelled weeks") if week or since or until else labelled[-1:]
    )
    raise typer.Exit(execute(loaded, [Step(REPORT_JOB, each) for each in weeks], as_json=False))

"""`semtel check`: what is wrong, before a run, and how to mend it."""

from __future__ import annotations

import typer

from semtel_dagster.commands.options import SettingsFile, out


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

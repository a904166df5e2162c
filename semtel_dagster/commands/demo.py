"""`semtel demo`: the main job, end to end, with no key and no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from semtel_dagster.commands.options import err, out
from semtel_dagster.commands.run import run_weeks


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
    failed = run_weeks(project.settings_file, None, None, None, None, as_json=False)
    _print_demo_ending(project.folder)
    raise typer.Exit(failed)


def _print_demo_ending(folder: Path) -> None:
    out.print(f"[bold]Dagster[/]   cd {folder} && dagster dev     [dim]# then http://127.0.0.1:3000[/]", soft_wrap=True)
    out.print(
        f"[bold]Next[/]      put your own source and endpoints into a copy of {folder / 'semtel.yaml'}", soft_wrap=True
    )

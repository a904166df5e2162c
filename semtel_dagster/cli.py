"""The semtel command: a thin front on Dagster. Everything it does can be done in the UI.

Results go to standard output, progress and errors to standard error. Exit codes: 0 all done; 1 something failed
(what landed stays landed); 2 the settings or arguments are wrong; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import logging
import warnings

import typer

from semtel_dagster.commands import (
    accept,
    annotate,
    backfill,
    check,
    collect,
    demo,
    diff,
    evaluate,
    plan,
    report,
    run,
    tune,
)
from semtel_dagster.commands.options import err
from semtel_dagster.errors import SettingsError, SourceError

app = typer.Typer(
    name="semtel",
    help="Semantic telemetry: weekly, trustworthy numbers about what people do with an AI assistant.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo.demo)
app.command()(check.check)
app.command()(run.run)
app.command()(plan.plan)
app.command()(backfill.backfill)
app.command()(collect.collect)
app.command()(diff.diff)
app.command()(report.report)
app.command()(evaluate.evaluate)
app.command()(tune.tune)
app.command()(accept.accept)
app.command()(annotate.annotate)

INTERRUPTED = 130


def main() -> None:
    """Runs the command line and turns errors of settings and source into one line and exit code 2."""
    warnings.filterwarnings("ignore")
    logging.getLogger("dagster").setLevel(logging.ERROR)
    try:
        app()
    except SystemExit as ending:
        if ending.code == INTERRUPTED:
            err.print("[yellow]stopped[/] Answers so far are in the journal and are not paid for again; run it again.")
        raise
    except (SettingsError, SourceError) as error:
        err.print("[red]error[/] ", end="")
        err.print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(2) from None

"""The command `semtel` as tests call it: as a process of its own, or here, since each start takes seconds."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from semtel_dagster import cli

OURS = ("SEMTEL_", "DAGSTER_", "OPENAI_")


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def bare_environment() -> dict[str, str]:
    """The environment without the variables that the command reads."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}


def semtel_process(*arguments: str, cwd: Path) -> Done:
    """Runs the command in a folder as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "semtel_dagster", *arguments],
        cwd=cwd,
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@contextmanager
def kept_environment() -> Iterator[None]:
    """Undoes whatever changes in the environment meanwhile."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def semtel_here(folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Done]]:
    """The command in this process and in a folder; what it sets in the environment goes with the block."""

    def run(*arguments: str) -> Done:
        patch.setattr(sys, "argv", ["semtel", *arguments])
        with warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return Done(int(ended.value.code or 0), printed.out, printed.err)

    with pytest.MonkeyPatch.context() as patch, kept_environment():
        for name in set(os.environ) - set(bare_environment()):
            del os.environ[name]
        patch.chdir(folder)
        yield run

"""A process that makes or polls a partition and kills itself with SIGKILL at a named step: run as a script."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = ("before upload", "after upload", "before create", "after create", "before lines", "after lines")


def run_and_die(folder: Path, port: int, rows: int, action: str, step: str) -> None:
    """Runs such a process; it must have died by its own hand."""
    command = [sys.executable, __file__, str(folder), str(port), str(rows), action, step]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, (step, ended.returncode, ended.stderr[-2000:])


def _deadly(method: Callable[..., Any], when: str) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = method(*arguments)
        if when == "after" and method.__name__ == "lines":
            return _some(result)
        os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call


def _some(lines: Any) -> Any:
    """A part of the lines, and then death: some of them are in the journal by then."""
    for number, line in enumerate(lines):
        if number == 10:
            os.kill(os.getpid(), signal.SIGKILL)
        yield line


def arm(step: str) -> None:
    """Makes this process kill itself when it comes to a step of STEPS."""
    from semtel_dagster.batches import results
    from semtel_dagster.batches.provider import OpenAIProvider

    when, name = step.split()
    setattr(OpenAIProvider, name, _deadly(getattr(OpenAIProvider, name), when))
    results.AT_ONCE = 4


def main() -> None:
    """Arguments: folder, port, rows, make or poll, step."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from semtel_dagster.loopback.process import LoopbackServer
    from tests.batches.builders import Partition
    from tests.requests.builders import texts

    folder, port, rows, action, step = sys.argv[1:]
    arm(step)
    partition = Partition(Path(folder), LoopbackServer(int(port), (int(port),), ()), texts(int(rows)))
    partition.make() if action == "make" else partition.poll()


if __name__ == "__main__":
    main()

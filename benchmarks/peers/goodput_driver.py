"""Runs a peer's goodput script in its environment, for no longer than the benchmark lasts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from benchmarks.peers.environments import python_of


def run(name: str, urls: dict[str, str], rows: int, seconds: float) -> int | None:
    """Lets a peer work on so many rows.

    Returns:
        Rows that it ended without an answer; None if it was still at work, or told nothing.

    Raises:
        subprocess.CalledProcessError: Its environment cannot be made.
    """
    script = Path(__file__).parent / f"goodput_{name}.py"
    command = [python_of(name), script, json.dumps(list(urls.values())), str(rows)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        said = process.communicate(timeout=seconds)[0].splitlines()
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its own children too
        process.communicate()
        return None
    return int(json.loads(said[-1])["lost"]) if process.returncode == 0 and said else None

"""The Batch API under everything that goes wrong at once: is every conversation answered, and paid once?

    python benchmarks/batch.py [--rows 5000] [--kills 12]

One partition, 5,000 conversations, files of 500. The scripted provider lets batches expire, cancels and fails some,
fails single requests, loses lines of error files, and has a queue for two files. The process that submits, and those
that poll, are killed with SIGKILL: first at named steps (between upload, creation, recording and collecting), then at
random moments. At the end what no batch answered is asked online. The server counts what it billed per conversation.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from rich.console import Console
from rich.table import Table

from semtel_dagster.loopback.process import LoopbackServer, serve
from semtel_dagster.reducers import BatchSettings
from tests.batches.builders import Partition, script, statuses
from tests.batches.dying import arm
from tests.requests.builders import texts

FILE = 500
WORK = {
    "delay_s": 4.0,
    "outcomes": ["completed", "expired", "completed", "failed", "cancelled", "completed"],
    "row_error_share": 0.03,
    "lost_error_lines": 0.2,
    "max_enqueued_tokens": 16_000,  # two files by the server's count
}
SETTINGS = BatchSettings(enabled=True, max_requests=FILE, min_requests=100, share=0.95)
DEATHS = [
    ("make", "after create"),
    ("poll", "before upload"),
    ("poll", "after upload"),
    ("poll", "before create"),
    ("poll", "after create"),
    ("poll", "after lines"),
]


def partition(folder: str, port: int, rows: int, settings: BatchSettings = SETTINGS) -> Partition:
    return Partition(Path(folder), LoopbackServer(port, (port,), ()), texts(rows), settings)


def work(folder: str, port: int, rows: int, action: str, step: str) -> None:
    """A process of its own: makes the partition, or polls for ever."""
    if step:
        arm(step)
    one = partition(folder, port, rows)
    if action == "make":
        one.make()
    while action == "poll":
        one.poll()
        time.sleep(0.05)


def killed(folder: str, port: int, rows: int, action: str, step: str, after_s: float) -> bool:
    """Runs such a process until it kills itself or its time is over; whether it died by its own hand."""
    command = [sys.executable, __file__, "--rows", str(rows), "--worker", folder, str(port), action, step]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return process.returncode == -signal.SIGKILL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=12, help="at random moments, after those at named steps")
    parser.add_argument("--worker", nargs=4)
    given = parser.parse_args()
    if given.worker:
        folder, port, action, step = given.worker
        work(folder, int(port), given.rows, action, step)
        return
    chance, began, at_steps = random.Random(5), time.perf_counter(), 0
    with serve(script(**WORK)) as server, tempfile.TemporaryDirectory() as folder:
        for action, step in DEATHS:
            at_steps += killed(folder, server.port, given.rows, action, step, after_s=30.0)
        for _ in range(given.kills):
            killed(folder, server.port, given.rows, "poll", "", after_s=chance.uniform(1.5, 5.0))
        one = partition(folder, server.port, given.rows)
        made = one.finish()
        stats, batches = server.stats(), one.store.all()
        one.make()
        again = server.stats(conversations=False)["calls"]
        seconds = time.perf_counter() - began
        with tempfile.TemporaryDirectory() as other:
            online = partition(other, server.port, given.rows, BatchSettings()).make()
    paid = list(stats["paid"].values())
    figures = {
        "conversations": given.rows,
        "processes killed": f"{at_steps} at named steps, {given.kills} at random",
        "batches: ours, made by the provider": f"{len(batches)}, {stats['batches_created']}",
        "endings": ", ".join(sorted({str(batch.ending) for batch in batches})),
        "refused, since the queue was full": sum(batch.refusals for batch in batches),
        "answered in batches": sum(batch.answered for batch in batches),
        "left by batches": sum(batch.released for batch in batches),
        "asked online": stats["calls"],
        "paid once": paid.count(1),
        "paid more than once": sum(times > 1 for times in paid),
        "without an answer": given.rows - statuses(made).get("answered", 0),
        "calls of another run": again - stats["calls"],
        "same answers as online": made["raw_text"].equals(online["raw_text"]),
        "seconds": f"{seconds:.0f}",
    }
    table = Table("what", "how many")
    for name, value in figures.items():
        table.add_row(name, str(value))
    Console().print(table)
    assert paid == [1] * given.rows
    assert statuses(made) == {"answered": given.rows}
    assert figures["same answers as online"]


if __name__ == "__main__":
    main()

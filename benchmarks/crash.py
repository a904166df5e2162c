"""kill -9 at random moments, then resume: what is paid for twice, and is the table the same?

    python benchmarks/crash.py [--kills 20] [--rows 4000]

One journal; a run is killed at a random moment again and again, then left to end. The server counts what it answered
per conversation; an answer is paid for twice if it was asked again. Those may only be answers younger than a second
(not yet flushed) or in flight at a kill.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.classify import ClassifyBatches
from tests.requests.builders import batches, endpoint, plan, prompt, texts

SAME = ["content_hash", "raw_text", "status", "model", "prompt_fingerprint"]


def classify(folder: str, base_url: str, rows: int) -> pa.Table:
    a_plan = plan(folder, endpoint(base_url), requests={"max_in_flight": 64}, start_in_flight=64, hedge=False)
    return pa.Table.from_batches(list(ClassifyBatches(prompt(), a_plan)(batches(texts(rows)))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--worker", nargs=2)
    given = parser.parse_args()
    if given.worker:
        classify(*given.worker, given.rows)
        return
    chance = random.Random(7)
    killed = 0
    with serve(Script(latency={"median_s": 0.3, "sigma": 0.3})) as server, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--rows", str(given.rows), "--worker", folder, server.base_url]
        for _ in range(given.kills):
            process = subprocess.Popen(command)
            time.sleep(chance.uniform(0.8, 3.5))
            killed += process.poll() is None
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        time.sleep(1.0)
        resumed = classify(folder, server.base_url, given.rows)
        stats = server.stats()
        paid = list(stats["paid"].values())
        with tempfile.TemporaryDirectory() as other:
            undisturbed = classify(other, server.base_url, given.rows)
    twice = sum(paid) - len(paid)
    rate = 64 / 0.31
    bound = killed * (64 + rate)
    same = resumed.select(SAME).sort_by("content_hash") == undisturbed.select(SAME).sort_by("content_hash")
    table = Table("kills", "rows", "paid for again", "bound: in flight + 1 s", "same table")
    table.add_row(str(killed), str(resumed.num_rows), str(twice), f"{bound:.0f}", str(same))
    Console().print(table)
    assert same
    assert twice <= bound


if __name__ == "__main__":
    main()

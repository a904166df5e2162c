"""Memory of the classify path over many rows: flat, whatever their number.

    python benchmarks/memory.py [--rows 1000000] [--in-flight 512]

A loopback server without latency in processes of its own; short transcripts, made while they are read. The process's
resident memory is printed at each tenth of the rows, and at its highest; the budget is 600 MB.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.classify import ClassifyBatches
from tests.requests.builders import batches, endpoint, plan, prompt

BUDGET_MB = 600


def rows(count: int) -> Iterator[pa.RecordBatch]:
    for at in range(0, count, 1024):
        yield from batches([f"conversation {number}" for number in range(at, min(at + 1024, count))], 1024)


def resident_mb(field: str = "VmRSS") -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--in-flight", type=int, default=512)
    given = parser.parse_args()
    table = Table("rows", "resident MB", "rows / s")
    done, shown, began = 0, 0, time.monotonic()
    with serve(Script()) as server, tempfile.TemporaryDirectory() as folder:
        a_plan = plan(folder, endpoint(server.base_url), requests={"max_in_flight": given.in_flight})
        for batch in ClassifyBatches(prompt(), a_plan)(rows(given.rows)):
            done += batch.num_rows
            if done * 10 // given.rows > shown:
                shown = done * 10 // given.rows
                table.add_row(f"{done:,}", f"{resident_mb():.0f}", f"{done / (time.monotonic() - began):,.0f}")
    highest = resident_mb("VmHWM")
    Console().print(table, f"highest {highest:.0f} MB of {BUDGET_MB}, load {os.getloadavg()[0]:.1f}")
    assert done == given.rows
    assert highest < BUDGET_MB


if __name__ == "__main__":
    main()

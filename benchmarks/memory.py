"""Memory of the classify path over many rows: flat, whatever their number.

    python benchmarks/memory.py [--rows 1000000] [--in-flight 512]

A loopback server without latency in two processes of its own; short transcripts, made while they are read. The
process's resident memory is read at each hundredth of the rows and printed at each tenth, with the highest; the budget
is 600 MB, and after the first tenth no more than 20 MB may come. The plot shows memory over rows. A million rows take
some minutes: the server shares the cores.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.readings import resident_mb, slope
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.classify import ClassifyBatches
from tests.requests.builders import batches, endpoint, plan, prompt

RESULTS = Path(__file__).parent / "results"
BUDGET_MB = 600
GROWTH_MB = 20
BATCH_ROWS = 1024


@dataclass(frozen=True)
class Reading:
    """Memory after so many rows."""

    rows: int
    resident_mb: float
    seconds: float


def conversations(count: int) -> Iterator[pa.RecordBatch]:
    for at in range(0, count, BATCH_ROWS):
        numbers = range(at, min(at + BATCH_ROWS, count))
        yield from batches([f"conversation {number}" for number in numbers], BATCH_ROWS)


def measure(rows: int, in_flight: int) -> list[Reading]:
    """Classifies so many rows; a reading at each hundredth."""
    readings: list[Reading] = []
    done, began = 0, time.monotonic()
    with serve(Script(), processes=2) as server, tempfile.TemporaryDirectory() as folder:
        a_plan = plan(folder, endpoint(server.base_url), requests={"max_in_flight": in_flight})
        for batch in ClassifyBatches(prompt(), a_plan)(conversations(rows)):
            done += batch.num_rows
            if done * 100 // rows > len(readings):
                readings.append(Reading(done, resident_mb(), time.monotonic() - began))
    assert done == rows
    return readings


def draw(readings: list[Reading]) -> None:
    import altair as alt
    import polars as pl

    frame = pl.DataFrame({"rows": [each.rows for each in readings], "MB": [each.resident_mb for each in readings]})
    chart = alt.Chart(frame).mark_line().encode(x="rows:Q", y=alt.Y("MB:Q").scale(domain=[0, BUDGET_MB]))
    RESULTS.mkdir(exist_ok=True)
    chart.properties(width=600, title="Resident memory of the classify path").save(RESULTS / "memory.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--in-flight", type=int, default=512)
    given = parser.parse_args()
    readings = measure(given.rows, given.in_flight)
    table = Table("rows", "resident MB", "rows / s")
    for each in readings[9::10]:
        table.add_row(f"{each.rows:,}", f"{each.resident_mb:.0f}", f"{each.rows / each.seconds:,.0f}")
    highest = resident_mb("VmHWM")
    steady = readings[len(readings) // 10 :]
    growth = slope([each.rows / given.rows for each in steady], [each.resident_mb for each in steady])
    told = (
        f"highest {highest:.0f} MB of {BUDGET_MB}, slope {growth:+.1f} MB over all rows, load {os.getloadavg()[0]:.1f}"
    )
    Console(width=110).print(table, told, f"load {os.getloadavg()[0]:.1f}")
    draw(readings)
    assert highest < BUDGET_MB
    assert growth < GROWTH_MB


if __name__ == "__main__":
    main()

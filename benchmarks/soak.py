"""A quarter of an hour of mixed faults at full speed: does anything grow?

    python benchmarks/soak.py [--minutes 15] [--in-flight 256] [--every 5]

Every fault of the loopback in equal parts on 20 % of the calls (`fault_cases.mixed`), endless new conversations, no
quota. Every few seconds the client's connections (its open files, and what the server counts), asyncio tasks, threads
and resident memory are read. After a warm-up of a fifth of the time none may grow: the verdict compares each slope
(median over all pairs of readings, so a spike does not count) with its bound per minute; under about ten minutes
memory's own swing of some MB can pass for growth. Once a minute the server
forgets its own counts, which would grow with the rows. Writes a table and a plot into results/.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from unittest import mock

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.fault_cases import PROMPT, mixed
from benchmarks.readings import open_files, os_threads, resident_mb, slope
from semtel_dagster.loopback.process import LoopbackServer, serve
from semtel_dagster.requests import classify
from semtel_dagster.requests.worker import Worker
from tests.requests.builders import batches, endpoint, plan
from tests.requests.reasons import REASONS

RESULTS = Path(__file__).parent / "results"
WARM_UP_SHARE = 0.2
BOUND_PER_MINUTE = {"open files": 2.0, "connections": 2.0, "tasks": 2.0, "threads": 0.1, "resident MB": 1.0}
FORGET_S = 60.0


@dataclass(frozen=True)
class Reading:
    """The client at a moment, with what the server sees of it."""

    minute: float
    rows: int
    open_files: int
    connections: int
    tasks: int
    threads: int
    resident_mb: float

    def value(self, name: str) -> float:
        return float(asdict(self)[name.lower().replace(" ", "_")])


class Watched(Worker):
    """The engine's thread, with a view of its loop."""

    running: Watched | None = None

    def start(self) -> None:
        super().start()
        Watched.running = self

    def tasks(self) -> int:
        return len(asyncio.all_tasks(self._loop)) if self._loop is not None else 0


class Reader(threading.Thread):
    """Takes a reading every few seconds until it is told to stop."""

    def __init__(self, server: LoopbackServer, every_s: float) -> None:
        super().__init__(daemon=True)
        self.readings: list[Reading] = []
        self.rows = 0
        self._server, self._every_s = server, every_s
        self._stopped = threading.Event()
        self._began = self._forgot_at = time.monotonic()

    def run(self) -> None:
        while not self._stopped.wait(self._every_s):
            if Watched.running is not None:
                self.readings.append(self._read(Watched.running))
            if time.monotonic() - self._forgot_at > FORGET_S:
                self._server.reset()
                self._forgot_at = time.monotonic()

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def _read(self, worker: Watched) -> Reading:
        return Reading(
            minute=(time.monotonic() - self._began) / 60,
            rows=self.rows,
            open_files=open_files(),
            connections=self._server.stats(conversations=False)["connections"],
            tasks=worker.tasks(),
            threads=os_threads(),
            resident_mb=resident_mb(),
        )


def endless(until: float, asked: Counter[str]) -> Iterator[pa.RecordBatch]:
    """New conversations until the clock runs out."""
    for first in count(0, 512):
        if time.monotonic() >= until:
            return
        asked["rows"] += 512
        yield from batches([f"conversation {number}" for number in range(first, first + 512)], 512)


def soak(minutes: float, in_flight: int, every_s: float) -> tuple[list[Reading], Counter[str], Counter[str]]:
    """Readings, rows asked, and rows by their end."""
    asked: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    with (
        serve(mixed()) as server,
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(classify, "Worker", Watched),
    ):
        requests = {"max_in_flight": in_flight, "timeout_s": 10}
        a_plan = plan(folder, endpoint(server.base_url), requests=requests)
        reader = Reader(server, every_s)
        reader.start()
        for batch in classify.ClassifyBatches(PROMPT, a_plan)(endless(time.monotonic() + 60 * minutes, asked)):
            reader.rows += batch.num_rows
            ends.update(reason or "answered" for reason in batch.column("error").to_pylist())
        reader.stop()
    return reader.readings, asked, ends


def judge(readings: list[Reading]) -> list[tuple[str, float, float, float, float, bool]]:
    """Each figure's first and last value after the warm-up, its slope per minute, the bound, and whether it holds."""
    steady = [each for each in readings if each.minute > WARM_UP_SHARE * readings[-1].minute]
    minutes = [each.minute for each in steady]
    verdicts = []
    for name, bound in BOUND_PER_MINUTE.items():
        values = [each.value(name) for each in steady]
        growth = slope(minutes, values)
        verdicts.append((name, values[0], values[-1], growth, bound, growth <= bound))
    return verdicts


def draw(readings: list[Reading]) -> None:
    import altair as alt
    import polars as pl

    records = [
        {"minute": each.minute, "what": name, "value": each.value(name)}
        for each in readings
        for name in (*BOUND_PER_MINUTE, "rows")
    ]
    chart = alt.Chart(pl.DataFrame(records)).mark_line().encode(x="minute:Q", y=alt.Y("value:Q", title=None))
    chart = chart.properties(width=320, height=140).facet("what:N", columns=2).resolve_scale(y="independent")
    RESULTS.mkdir(exist_ok=True)
    chart.save(RESULTS / "soak.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between readings")
    given = parser.parse_args()
    files, threads = open_files(), os_threads()
    readings, asked, ends = soak(given.minutes, given.in_flight, given.every)
    verdicts = judge(readings)
    console = Console(width=120)
    table = Table("figure", "after warm-up", "at the end", "slope per minute", "bound", "verdict")
    for name, first, last, growth, bound, holds in verdicts:
        table.add_row(name, f"{first:.0f}", f"{last:.0f}", f"{growth:+.3f}", f"{bound:g}", "flat" if holds else "GROWS")
    console.print(table, dict(ends))
    rows = sum(ends.values())
    console.print(
        f"{rows:,} rows of {asked['rows']:,} ended in {readings[-1].minute:.1f} minutes "
        f"({rows / readings[-1].minute / 60:,.0f}/s), highest {resident_mb('VmHWM'):.0f} MB, "
        f"open files {files} before and {open_files()} after, threads {threads} and {os_threads()}, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    draw(readings)
    assert rows == asked["rows"]
    assert set(ends) <= {"answered", "empty_answer (HTTP 200)", "connect_timeout", *REASONS.values()}
    assert all(holds for *_, holds in verdicts)


if __name__ == "__main__":
    main()

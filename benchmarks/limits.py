"""Known limits, the knee, fair shares and refusals by chance: what the engine makes of one server each.

    python -m benchmarks.limits known|knee|fairness|chance [--seconds 40] [--seeds 801 802 803]

known: quotas of requests and of tokens in windows of 1, 10 and 60 seconds, refilled steadily, and the engine is told.
knee: a server whose throughput peaks at 64 calls at once; started ten times too low and ten times too high, against
the best of a sweep over fixed concurrencies. Latencies are drawn by the seed.
fairness: four processes on one server that nobody told them the limit of: 200 and 800 calls a second, all at once, and
with one that has worked alone for 20 seconds when the others join. Measured from ten seconds after the last joined.
Strangers know no more than that there are four; runs of one project know nothing and share its journal's folder.
chance: a quota that nobody told, and one to three percent of the calls refused at random besides.

Each prints a table (the median of the seeds, the worst in parentheses) and writes a plot to benchmarks/results.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, product
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.classify import ClassifyBatches
from tests.requests.builders import batches, endpoint, plan, prompt

RESULTS = Path(__file__).parent / "results"
KNEE = 64
SWEEP = (32, 48, 64, 80, 96)
SWEEP_S = 8.0
WARM_UP_S = 10.0
HEAD_START_S = 20.0
PROCESSES = 4
TEXT = "a conversation of some length " * 20
Row = dict[str, Any]


def until(deadline: float, name: str = "row") -> Iterator[pa.RecordBatch]:
    """Rows until the clock runs out."""
    for number in count(0, 256):
        if time.monotonic() >= deadline:
            return
        yield from batches([f"{name} {at} {TEXT}" for at in range(number, number + 256)], 256)


def work(
    base_url: str,
    seconds: float,
    *,
    name: str = "row",
    tasks: int = 1,
    start: int | None = None,
    journal: str | None = None,
    **known: Any,
):
    """This project's engine on one endpoint for so many seconds; without a journal it has one of its own."""
    with tempfile.TemporaryDirectory() as own:
        a_plan = plan(journal or own, endpoint(base_url, **known), parallel_tasks=tasks, start_in_flight=start)
        deadline = time.monotonic() + seconds
        result = ClassifyBatches(prompt(), a_plan)(until(deadline + 30, name))
        for _ in result:
            if time.monotonic() > deadline:
                break
        result.close()


def rate(series: dict[str, Any], since: float, until: float, what: str = "answered") -> float:
    """Answers per second in a part of the server's clock."""
    first, last = (round(at / series["bucket_s"]) for at in (since, until))
    return sum(series[what][first:last]) / (until - since)


def accepted(series: dict[str, Any], since: float, until: float) -> float:
    """Calls let in per second: what a quota counts, whenever their answers come."""
    return rate(series, since, until, "calls") - rate(series, since, until, "refused")


def known(seconds: float, seed: int) -> list[Row]:
    """Told quotas: the share that is used, and refusals."""

    def run(window: float, budget: str) -> Row:
        per_minute = 6000.0 if budget == "requests" else 600_000.0
        limits = {f"{budget}_per_minute": per_minute, "window_s": window, "retry_after": "ms", "tokens_judged": "usage"}
        script = Script(seed=seed, latency={"median_s": 0.3, "sigma": 0.4}, limits=limits)
        with serve(script) as server:
            work(server.base_url, seconds, **{f"{budget}_per_minute": per_minute})
            stats = server.stats(conversations=False)
        each = (stats["prompt_tokens"] + stats["completion_tokens"]) / max(stats["answered"], 1)
        used = accepted(stats["series"], WARM_UP_S, seconds - 1) * (1.0 if budget == "requests" else each)
        return {
            "case": f"{budget}, {window:g} s",
            "of quota": used * 60 / per_minute,
            "refused": stats["refused"] / stats["calls"],
        }

    cases = [(window, budget) for window in (1, 10, 60) for budget in ("requests", "tokens")]
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda case: run(*case), cases))


def knee(seconds: float, seed: int) -> list[Row]:
    """Starts far off the knee, against the best of a sweep."""
    script = Script(seed=seed, latency={"median_s": 0.2, "sigma": 0.3, "full_speed": KNEE, "overload": 1.5})

    def run(start: int, most: int | None, long: float, since: float) -> float:
        with serve(script) as server:
            work(server.base_url, long, start=start, **({"max_in_flight": most} if most else {}))
            return rate(server.stats(conversations=False)["series"], since, long - 0.5)

    fixed = {level: run(level, level, SWEEP_S, 2.0) for level in SWEEP}
    best = max(fixed.values())
    rows = [{"case": f"fixed {level}", "of best": value / best} for level, value in fixed.items()]
    for start in (KNEE // 10, KNEE * 10):
        rows.append({"case": f"from {start}", "of best": run(start, None, seconds, seconds / 2) / best})
    return rows


def fairness(seconds: float, seed: int) -> list[Row]:
    """Four processes on a quota nobody told them, started together or apart."""
    cases = product((False, True), (200, 800), (0.0, HEAD_START_S))
    return [shared(seconds, seed, per_second, apart, meet=meet) for meet, per_second, apart in cases]


def shared(seconds: float, seed: int, per_second: int, apart: float, *, meet: bool) -> Row:
    """Shares of four processes; the first one starts so many seconds before the others. They may share a journal."""
    limits = {"requests_per_minute": 60 * per_second, "window_s": 1, "retry_after": "ms", "headers": "none"}
    with (
        serve(Script(seed=seed, latency={"median_s": 0.3, "sigma": 0.4}, limits=limits)) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        running = []
        for number in range(PROCESSES):
            wait = apart if number else 0.0
            command = [sys.executable, "-m", "benchmarks.limits", "worker", "--url", server.url_for(f"p{number}")]
            command += ["--wait", str(wait), "--seconds", str(apart + seconds - wait)]
            command += ["--journal", folder] if meet else ["--tasks", str(PROCESSES)]
            running.append(subprocess.Popen(command))
        for process in running:
            process.wait()
        stats = server.stats(conversations=False)
    who = "one project" if meet else "strangers"
    joined = apart + WARM_UP_S
    rates = [rate(each["series"], joined, apart + seconds - 2) for each in stats["clients"].values()]
    return {
        "case": ", ".join([who, f"{per_second}/s", "one 20 s ahead" if apart else "together"]),
        "Jain index": sum(rates) ** 2 / len(rates) / sum(each**2 for each in rates),
        "of quota": accepted(stats["series"], joined, apart + seconds - 2) / per_second,
        "refused": stats["refused"] / stats["calls"],
    }


def chance(seconds: float, seed: int) -> list[Row]:
    """Refusals at random on top of a quota nobody told."""

    def run(share: float) -> Row:
        limits = {"requests_per_minute": 6000, "window_s": 1, "retry_after": "seconds", "headers": "none"}
        script = Script(
            seed=seed, latency={"median_s": 0.3, "sigma": 0.4}, limits=limits, faults={"refused_429": share}
        )
        with serve(script) as server:
            work(server.base_url, seconds)
            stats = server.stats(conversations=False)
        return {
            "case": f"{share:.0%} by chance",
            "of quota": accepted(stats["series"], WARM_UP_S, seconds - 1) / 100,
            "refused beyond chance": (stats["refused"] - stats["faults"].get("refused_429", 0)) / stats["calls"],
        }

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, (0.0, 0.01, 0.03)))


def show(name: str, rows: list[Row], console: Console) -> None:
    """The median of the seeds and the worst, as a table and as a plot."""
    measures = [measure for measure in rows[0] if measure not in {"case", "seed"}]
    table = Table(name, *measures)
    for case in dict.fromkeys(row["case"] for row in rows):
        mine = [row for row in rows if row["case"] == case]
        table.add_row(case, *(middle_and_worst([row[measure] for row in mine], measure) for measure in measures))
    console.print(table)
    frame = pl.DataFrame(rows)
    charts = [
        alt.Chart(frame).mark_point().encode(x=alt.X(f"{measure}:Q").scale(zero=False), y="case:N", color="seed:N")
        for measure in measures
    ]
    RESULTS.mkdir(exist_ok=True)
    alt.vconcat(*(chart.properties(width=500) for chart in charts)).save(RESULTS / f"limits_{name}.png")


def middle_and_worst(values: list[float], measure: str) -> str:
    """The median, and in parentheses the worst."""
    worst = max(values) if "refused" in measure else min(values)
    form = "{:.3f}" if "index" in measure else "{:.2%}"
    return f"{form.format(statistics.median(values))} ({form.format(worst)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    measures: dict[str, Callable[[float, int], list[Row]]] = {
        "known": known, "knee": knee, "fairness": fairness, "chance": chance,
    }  # fmt: skip
    parser.add_argument("what", choices=[*measures, "worker"])
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seeds", type=int, nargs="+", default=[801, 802, 803])
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--wait", type=float, default=0.0, help=argparse.SUPPRESS)
    parser.add_argument("--tasks", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--journal", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.what == "worker":
        time.sleep(given.wait)
        work(given.url, given.seconds, name=given.url, tasks=given.tasks, journal=given.journal)
        return
    seconds = given.seconds or {"known": 25.0, "knee": 40.0, "fairness": 40.0, "chance": 30.0}[given.what]
    rows = []
    for seed in given.seeds:
        found = [{**row, "seed": seed} for row in measures[given.what](seconds, seed)]
        rows += found
        for row in found:
            print(row, flush=True)
    show(given.what, rows, Console())


if __name__ == "__main__":
    main()

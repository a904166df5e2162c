"""Goodput against quota: four endpoints whose limits nobody told us, with trouble along the way.

    python benchmarks/goodput.py [--seconds 60]

Four loopback servers: unequal limits; one slow; one that is down for a while; one whose quota drops to half and comes
back. The oracle is computed from the scripts: the sum of what each server's limit grants in each second. Printed: what
was answered against it after ten seconds of warm-up, the share of refused calls, rows lost. The same with the limits
told (the table's second row) runs against the same script. The plot shows answers per second against the oracle.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import altair as alt
import polars as pl
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from semtel_dagster.loopback.process import LoopbackServer, serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.classify import ClassifyBatches
from tests.requests.builders import batches, endpoint, plan, prompt

RESULTS = Path(__file__).parent / "results"
WARM_UP_S = 10.0
PER_MINUTE = {"north": 12_000, "east": 6_000, "south": 3_000, "west": 6_000}


def scripts(seconds: float) -> dict[str, Script]:
    third = seconds / 3
    common = {"window_s": 1, "retry_after": "ms", "headers": "none"}
    limits = {name: {**common, "requests_per_minute": value} for name, value in PER_MINUTE.items()}
    usual = {"median_s": 0.4, "sigma": 0.4}
    return {
        "north": Script(latency=usual, limits=limits["north"]),
        "east": Script(
            latency=usual,
            limits=limits["east"],
            phases=({"at_s": third, "capacity": 0.5}, {"at_s": 2 * third, "capacity": 1.0}),
        ),
        "south": Script(latency={"median_s": 3.0, "sigma": 0.4}, limits=limits["south"]),
        "west": Script(
            latency=usual,
            limits=limits["west"],
            phases=({"at_s": third, "down": "unavailable"}, {"at_s": third + 10, "capacity": 1.0}),
        ),
    }


def granted(name: str, second: float, seconds: float) -> float:
    """Calls that a server's limit grants in a second of the run."""
    rate, third = PER_MINUTE[name] / 60, seconds / 3
    if name == "east" and third <= second < 2 * third:
        return rate / 2
    if name == "west" and third <= second < third + 10:
        return 0.0
    return rate


def endless(deadline: list[float]) -> Iterator[pa.RecordBatch]:
    """Rows until the clock runs out."""
    import time

    number = 0
    while time.monotonic() < deadline[0]:
        yield from batches([f"row {at}" for at in range(number, number + 256)], 256)
        number += 256


def measure(seconds: float, told: bool) -> tuple[dict[str, float], list[dict[str, float | str]]]:
    import time

    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        servers: dict[str, LoopbackServer] = {
            name: stack.enter_context(serve(script)) for name, script in scripts(seconds).items()
        }
        endpoints = [
            endpoint(server.base_url, name=name, requests_per_minute=PER_MINUTE[name] if told else None)
            for name, server in servers.items()
        ]
        a_plan = plan(folder, *endpoints, requests={"timeout_s": 30, "max_in_flight": 2048})
        figures: list = []
        deadline = [time.monotonic() + seconds]
        lost = 0
        for batch in ClassifyBatches(prompt(), a_plan, figures.append)(endless(deadline)):
            lost += batch.column("status").to_pylist().count("failed")
        answered: dict[int, float] = {}
        refused = calls = 0
        for name, server in servers.items():
            stats = server.stats(conversations=False)
            calls += stats["calls"]
            refused += stats["refused"]
            series = stats["series"]
            for at, count in enumerate(series["answered"]):
                answered[int(at * series["bucket_s"])] = answered.get(int(at * series["bucket_s"]), 0) + count
            print(name, json.dumps({key: stats[key] for key in ("calls", "answered", "refused", "statuses")}))
        print(figures[-1])
    oracle = {second: sum(granted(name, second, seconds) for name in PER_MINUTE) for second in range(int(seconds))}
    inside = range(int(WARM_UP_S), int(seconds) - 1)
    summary = {
        "goodput": sum(answered.get(second, 0) for second in inside) / sum(oracle[second] for second in inside),
        "refused": refused / calls,
        "lost": lost,
        "calls": calls,
    }
    series = [
        {"second": second, "answers": value, "who": who}
        for who, values in (("told" if told else "learned", answered), ("oracle", oracle))
        for second, value in values.items()
        if second < seconds
    ]
    return summary, series


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds = parser.parse_args().seconds
    table = Table("limits", "goodput / oracle after 10 s", "calls refused", "rows lost", "calls")
    rows = []
    for told in (False, True):
        summary, series = measure(seconds, told)
        rows += [row for row in series if told is False or row["who"] != "oracle"]
        table.add_row(
            "told" if told else "unknown",
            f"{summary['goodput']:.1%}",
            f"{summary['refused']:.2%}",
            f"{summary['lost']:.0f}",
            f"{summary['calls']:.0f}",
        )
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    chart = alt.Chart(pl.DataFrame(rows)).mark_line().encode(x="second:Q", y="answers:Q", color="who:N")
    chart.properties(width=700, height=300, title="Answers per second").save(RESULTS / "goodput.png")


if __name__ == "__main__":
    main()

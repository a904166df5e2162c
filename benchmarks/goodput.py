"""Goodput against quota: four endpoints whose limits nobody told us, with trouble along the way.

    python -m benchmarks.goodput [--seconds 40] [--seeds 701 702 703] [--clients unknown told oracle]
    python -m benchmarks.goodput --peers [--seeds 701]

The servers and their trouble are in `trouble`. The oracle is a real client over the same transport that is told the
limits and the schedule. `unknown` is this project's engine without a word about limits, `told` the engine with the
quotas in its settings (the cut, the outage and the return are news to it, too). Every client meets the same scripts,
with fresh servers, one client after the other: clients side by side would compete for the cores. The peers
(`peers/goodput_*.py`) run in an environment of their own each.

Printed: answers after ten seconds of warm-up against the quota and against the oracle of the same seed, the share of
refused calls, rows that ended without an answer, and how long it took until a doubled quota (east) and an endpoint
that was down (west) were used to ninety percent again. The plot shows answers per second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks import oracle, trouble
from benchmarks.trouble import PER_MINUTE
from semtel_dagster.loopback.process import serve
from semtel_dagster.requests.classify import ClassifyBatches
from tests.requests.builders import batches, endpoint, plan, prompt

RESULTS = Path(__file__).parent / "results"
WARM_UP_S = 10.0
OURS = ("unknown", "told", "oracle")
PEERS = ("openai", "litellm", "lm_deluge", "flexllm", "curator")
FIGURES = ("quota", "oracle", "refused", "lost", "doubled_s", "returned_s")


def classify(urls: dict[str, str], seconds: float, *, told: bool) -> int:
    """This project's engine with endless rows for so many seconds; the rows that ended without an answer."""

    def rows() -> Iterator[pa.RecordBatch]:
        for number in count(0, 256):
            yield from batches([f"row {at}" for at in range(number, number + 256)], 256)

    lost = 0
    with tempfile.TemporaryDirectory() as folder:
        endpoints = [
            endpoint(url, name=name, requests_per_minute=PER_MINUTE[name] if told else None)
            for name, url in urls.items()
        ]
        a_plan = plan(folder, *endpoints, requests={"timeout_s": 30, "max_in_flight": 2048})
        result = ClassifyBatches(prompt(), a_plan)(rows())
        deadline = time.monotonic() + seconds
        for batch in result:
            lost += batch.column("status").to_pylist().count("failed")
            if time.monotonic() > deadline:
                break
        result.close()
    return lost


def run(client: str, seed: int, seconds: float) -> dict[str, Any]:
    """One client against fresh servers; its figures."""
    scripts = trouble.scripts(seconds, seed)
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(serve(script)) for name, script in scripts.items()}
        urls = {name: server.base_url for name, server in servers.items()}
        if client == "oracle":
            lost: int | None = 0
            asyncio.run(oracle.work(urls, scripts, seconds))
        elif client in OURS:
            lost = classify(urls, seconds, told=client == "told")
        else:
            from benchmarks.peers import goodput_driver

            rows = int(sum(trouble.granted(script, 0, seconds) for script in scripts.values()))
            lost = goodput_driver.run(client, urls, rows, seconds)
        stats = {name: server.stats(conversations=False) for name, server in servers.items()}
    return {"client": client, "seed": seed, "lost": lost, **judge(stats, scripts, seconds)}


def judge(stats: dict[str, Any], scripts: dict[str, Any], seconds: float) -> dict[str, Any]:
    """What the servers' counts say about a client."""
    per_second: Counter[int] = Counter()
    for each in stats.values():
        for at, answers in enumerate(each["series"]["answered"]):
            per_second[int(at * each["series"]["bucket_s"] + 1e-9)] += answers
    inside = range(int(WARM_UP_S), int(seconds) - 1)
    quota = sum(trouble.granted(script, WARM_UP_S, int(seconds) - 1) for script in scripts.values())
    third = seconds / 3
    return {
        "answered": sum(per_second[second] for second in inside),
        "quota": sum(per_second[second] for second in inside) / quota,
        "refused": sum(each["refused"] for each in stats.values())
        / max(sum(each["calls"] for each in stats.values()), 1),
        "doubled_s": trouble.regained_after(stats["east"], scripts["east"], 2 * third),
        "returned_s": trouble.regained_after(stats["west"], scripts["west"], third + trouble.DOWN_S),
        "per_second": [per_second[second] for second in range(int(seconds))],
        "by_server": {
            name: {key: each[key] for key in ("calls", "answered", "refused")} for name, each in stats.items()
        },
    }


def alone(client: str, seed: int, seconds: float) -> dict[str, Any]:
    """Runs a client in a process of its own with servers of its own."""
    command = [sys.executable, "-m", "benchmarks.goodput", "--seconds", str(seconds), "--seeds", str(seed)]
    done = subprocess.run([*command, "--child", client], stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def show(results: list[dict[str, Any]], console: Console) -> None:
    """A line per client: the median of the seeds, and the worst in parentheses."""
    table = Table(
        "client", "of quota after 10 s", "of the oracle", "calls refused", "rows lost", "doubled, s", "back, s"
    )
    for client in dict.fromkeys(result["client"] for result in results):
        mine = [result for result in results if result["client"] == client]
        columns = {figure: [each[figure] for each in mine if each[figure] is not None] for figure in FIGURES}
        table.add_row(
            client,
            *(both(columns[figure], min, "{:.1%}") for figure in FIGURES[:2]),
            both(columns["refused"], max, "{:.2%}"),
            both(columns["lost"], max, "{:.0f}"),
            *(both(columns[figure], max, "{:.1f}") for figure in FIGURES[4:]),
        )
    console.print(table)


def both(values: list[float], worst: Any, form: str) -> str:
    """The median and the worst of some values."""
    if not values:
        return "-"
    return f"{form.format(statistics.median(values))} ({form.format(worst(values))})"


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """Answers per second by client, of the first seed."""
    seed = results[0]["seed"]
    rows = [
        {"second": second, "answers per second": answers, "client": result["client"]}
        for result in results
        if result["seed"] == seed
        for second, answers in enumerate(result["per_second"])
    ]
    chart = alt.Chart(pl.DataFrame(rows)).mark_line().encode(x="second:Q", y="answers per second:Q", color="client:N")
    RESULTS.mkdir(exist_ok=True)
    chart.properties(width=700, height=300, title=f"Answers per second, seed {seed}").save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--clients", nargs="+", choices=[*OURS, *PEERS])
    parser.add_argument("--peers", action="store_true", help="the peers, one by one, beside the oracle and the engine")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(run(given.child, given.seeds[0], given.seconds)))
        return
    clients = given.clients or (["unknown", "oracle", *PEERS] if given.peers else list(OURS))
    console, results = Console(), []
    for seed in given.seeds or ([701] if given.peers else [701, 702, 703]):
        results += [alone(client, seed, given.seconds) for client in clients]
    best = {result["seed"]: result["answered"] for result in results if result["client"] == "oracle"}
    for result in results:
        result["oracle"] = result["answered"] / best[result["seed"]] if result["seed"] in best else None
        console.print({key: value for key, value in result.items() if key != "per_second"})
    show(results, console)
    plot(results, RESULTS / ("goodput_peers.png" if given.peers else "goodput.png"))


if __name__ == "__main__":
    main()

"""Known limits, the knee, and fair shares: what the engine makes of one server each.

    python benchmarks/limits.py known|knee|fairness [--seconds 40]

known: a server limited to 6,000 requests a minute over windows of one second, and the engine is told.
knee: a server whose throughput peaks at 64 calls at once; started ten times too low and ten times too high, against
the best of a sweep over fixed concurrencies.
fairness: four processes on one server limited to 12,000 requests a minute that nobody told them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.classify import ClassifyBatches
from tests.requests.builders import batches, endpoint, plan, prompt

KNEE = 64
WARM_UP_S = 10.0


def until(deadline: float, name: str = "row") -> Iterator[pa.RecordBatch]:
    """Rows until the clock runs out."""
    for number in count(0, 256):
        if time.monotonic() >= deadline:
            return
        yield from batches([f"{name} {at}" for at in range(number, number + 256)], 256)


def work(
    base_url: str, seconds: float, tasks: int = 1, name: str = "row", per_minute=None, start=None, most=None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one = endpoint(base_url, requests_per_minute=per_minute, max_in_flight=most)
        a_plan = plan(folder, one, parallel_tasks=tasks, start_in_flight=start)
        result = ClassifyBatches(prompt(), a_plan)(until(time.monotonic() + seconds + 30, name))
        deadline = time.monotonic() + seconds
        for _ in result:
            if time.monotonic() > deadline:
                result.close()
                return


def rate(stats: dict, since: float, until: float) -> float:
    """Answers per second in a part of the server's clock."""
    series = stats["series"]
    first, last = (int(at / series["bucket_s"]) for at in (since, until))
    return sum(series["answered"][first:last]) / (until - since)


def known(seconds: float, console: Console) -> None:
    table = Table("window", "of quota after 10 s", "refused")
    for window in (1, 10):
        limits = {"requests_per_minute": 6000, "window_s": window, "retry_after": "ms", "burst_requests": 100}
        with serve(Script(latency={"median_s": 0.3, "sigma": 0.4}, limits=limits)) as server:
            work(server.base_url, seconds, per_minute=6000)
            stats = server.stats(conversations=False)
        share = rate(stats, WARM_UP_S, seconds - 1) / 100
        table.add_row(f"{window} s", f"{share:.1%}", f"{stats['refused'] / stats['calls']:.2%}")
    console.print(table)


def knee(seconds: float, console: Console) -> None:
    script = Script(latency={"median_s": 0.2, "sigma": 0.3, "full_speed": KNEE, "overload": 1.5})
    table = Table("in flight", "answers / s", "of best")
    fixed = {}
    with serve(script) as server:
        for level in (16, 32, 48, 64, 80, 128):
            server.reset()
            work(server.base_url, 8, start=level, most=level)
            fixed[level] = rate(server.stats(conversations=False), 2, 7)
        best = max(fixed.values())
        for level, value in fixed.items():
            table.add_row(f"fixed {level}", f"{value:.0f}", f"{value / best:.1%}")
        for start in (6, 640):
            server.reset()
            work(server.base_url, seconds, start=start)
            value = rate(server.stats(conversations=False), seconds / 2, seconds - 1)
            table.add_row(f"from {start}", f"{value:.0f}", f"{value / best:.1%}")
    console.print(table)


def fairness(seconds: float, console: Console) -> None:
    limits = {"requests_per_minute": 12_000, "window_s": 1, "retry_after": "ms", "headers": "none"}
    with serve(Script(latency={"median_s": 0.3, "sigma": 0.4}, limits=limits)) as server:
        command = [sys.executable, __file__, "worker", "--seconds", str(seconds), "--url"]
        running = [subprocess.Popen([*command, server.url_for(f"p{number}")]) for number in range(4)]
        for process in running:
            process.wait()
        stats = server.stats(conversations=False)
    shares = [each["answered"] / stats["answered"] for each in stats["clients"].values()]
    jain = sum(shares) ** 2 / len(shares) / sum(share**2 for share in shares)
    table = Table("shares", "Jain index", "of quota after 10 s", "refused")
    together = rate(stats, WARM_UP_S, seconds - 1) / 200
    table.add_row(
        " ".join(f"{share:.2f}" for share in shares),
        f"{jain:.3f}",
        f"{together:.1%}",
        f"{stats['refused'] / stats['calls']:.2%}",
    )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["known", "knee", "fairness", "worker"])
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--url")
    given = parser.parse_args()
    if given.what == "worker":
        work(given.url, given.seconds, tasks=4, name=given.url)
    else:
        {"known": known, "knee": knee, "fairness": fairness}[given.what](given.seconds, Console())


if __name__ == "__main__":
    main()

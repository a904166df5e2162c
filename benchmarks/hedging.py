"""Second calls for stragglers at the end of a run: what they save, and what they cost.

    python benchmarks/hedging.py [--rows 2000] [--repeats 3]

The same rows against the same servers, with hedging and without, in turns; the medians over the repeats. Printed: the
time until 50, 99 and 100 % of the rows had ended, the second calls as a share of all calls (at most 2 %), and the
answers that were paid for and not used. The servers: calm (log-normal, so a run ends with its slowest call), a call in
a hundred that takes ten seconds more, a call in two hundred that never comes back, and two endpoints of which one is
six times slower.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.requests.figures import Figures
from tests.requests.builders import batches, endpoint, plan, prompt

RESULTS = Path(__file__).parent / "results"
USUAL = {"median_s": 0.3, "sigma": 0.5}
MOST_SHARE = 0.02
SHARES = (0.5, 0.99, 1.0)


@dataclass(frozen=True)
class Run:
    """When shares of the rows had ended, in seconds, and what was called."""

    ended: tuple[float, ...]
    calls: int
    hedged: int
    unused: int


def cases() -> dict[str, list[Script]]:
    once = {"first_calls": 1, "sticky": "none"}
    return {
        "calm": [Script(latency=USUAL)],
        "1 % take 10 s more": [Script(latency=USUAL, faults={"trickle": 0.01, "trickle_s": 10, **once})],
        "0.5 % hang": [Script(latency=USUAL, faults={"hang": 0.005, **once})],
        "a slow endpoint": [Script(latency=USUAL), Script(latency={"median_s": 1.8, "sigma": 0.5})],
    }


def run(scripts: Sequence[Script], rows: int, hedge: bool) -> Run:
    """One run over fresh servers."""
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        servers = [stack.enter_context(serve(script)) for script in scripts]
        endpoints = [endpoint(server.base_url, name=str(at)) for at, server in enumerate(servers)]
        a_plan = plan(folder, *endpoints, requests={"max_in_flight": 256, "flush_s": 0.1}, hedge=hedge)
        figures: list[Figures] = []
        texts = [f"conversation {number}" for number in range(rows)]
        began, done, ended = time.monotonic(), 0, []
        for batch in ClassifyBatches(prompt(), a_plan, figures.append)(batches(texts)):
            done += batch.num_rows
            while len(ended) < len(SHARES) and done >= SHARES[len(ended)] * rows:
                ended.append(time.monotonic() - began)
        paid = sum(sum(server.stats()["paid"].values()) for server in servers)
    return Run(tuple(ended), figures[-1].calls, figures[-1].hedged, paid - rows)


def draw(records: list[dict[str, float | str]]) -> None:
    import altair as alt
    import polars as pl

    chart = alt.Chart(pl.DataFrame(records)).mark_point(filled=True, size=70)
    chart = chart.encode(x="seconds:Q", y=alt.Y("case:N", sort=None), color="hedging:N", shape="rows ended:N")
    RESULTS.mkdir(exist_ok=True)
    chart.properties(width=600, height=160, title="Time until rows had ended").save(RESULTS / "hedging.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    columns = ("case", "hedging", "50 %, s", "99 %, s", "all, s", "calls", "second calls", "paid, unused")
    table = Table(*columns, title=f"medians of {given.repeats} runs of {given.rows:,} rows")
    records, shares = [], []
    for case, scripts in cases().items():
        runs: dict[bool, list[Run]] = {False: [], True: []}
        for _ in range(given.repeats):
            for hedge, kept in runs.items():
                kept.append(run(scripts, given.rows, hedge))
        for hedge, kept in runs.items():
            ended = [median(each.ended[at] for each in kept) for at in range(len(SHARES))]
            shares += [each.hedged / each.calls for each in kept]
            hedged = sum(each.hedged for each in kept) / sum(each.calls for each in kept)
            counts = (f"{median(each.calls for each in kept):,.0f}", f"{hedged:.2%}")
            unused = f"{median(each.unused for each in kept):.0f}"
            word = "on" if hedge else "off"
            table.add_row(case, word, *(f"{seconds:.2f}" for seconds in ended), *counts, unused)
            records += [
                {"case": case, "hedging": word, "rows ended": f"{share:.0%}", "seconds": seconds}
                for share, seconds in zip(SHARES, ended, strict=True)
            ]
    Console(width=110).print(table, f"load {os.getloadavg()[0]:.1f}")
    draw(records)
    assert max(shares) <= MOST_SHARE


if __name__ == "__main__":
    main()

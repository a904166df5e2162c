"""Every fault alone and all mixed: does each row end, once, with the right answer or the right reason?

    python benchmarks/faults.py [--rows 10000] [--case NAME ...]

One loopback server plays one script after the other (`fault_cases`): each of its faults at 20 % of the calls, quotas
that nobody told us with honest, odd and lying headers, outages, dirty labels, and all together. For each row the oracle
computes from the script what had to happen; `wrong` counts what did not. Paid are the calls that a provider would bill:
a reply that is cut or replaced on its way is paid for and useless, so those faults cost more than a call.
Hedging is off, so that every call can be accounted for. Takes about four minutes; the plot shows calls and paid
calls per row.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.fault_cases import PROMPT, Oracle, cases
from semtel_dagster import tables
from semtel_dagster.loopback.process import LoopbackServer, serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.classify import ClassifyBatches
from tests.requests.builders import batches, endpoint, plan

RESULTS = Path(__file__).parent / "results"
TIMEOUT_S = 4.0


@dataclass(frozen=True)
class Result:
    """What a case came to."""

    case: str
    rows: int
    answered: int
    calls: int
    refused: int
    paid: int
    most_paid: int
    seconds: float
    wrong: Counter[str]


def play(server: LoopbackServer, case: str, script: Script, rows: int) -> Result:
    """Classifies so many conversations against a script, and judges every row."""
    server.set_script(script)
    server.reset()
    texts = [f"{case} {number}" for number in range(rows)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        a_plan = plan(folder, endpoint(server.base_url), requests={"timeout_s": TIMEOUT_S}, hedge=False)
        function = ClassifyBatches(PROMPT, a_plan)
        table = pa.Table.from_batches(list(function(batches(texts))), schema=tables.RESPONSES).to_pylist()
    seconds = time.monotonic() - began
    stats = server.stats()
    return Result(
        case=case,
        rows=len(table),
        answered=sum(row["status"] == "answered" for row in table),
        calls=stats["calls"],
        refused=stats["refused"],
        paid=sum(stats["paid"].values()),
        most_paid=max(stats["paid"].values(), default=0),
        seconds=seconds,
        wrong=Oracle(script, a_plan.requests.max_attempts).faults(table, texts, stats),
    )


def draw(results: list[Result]) -> None:
    import altair as alt
    import polars as pl

    records = [
        {"case": each.case, "per row": count / each.rows, "what": what}
        for each in results
        for what, count in (("calls", each.calls), ("paid calls", each.paid))
    ]
    chart = alt.Chart(pl.DataFrame(records)).mark_point(filled=True, size=60)
    chart = chart.encode(x=alt.X("per row:Q").scale(zero=False), y=alt.Y("case:N", sort=None), color="what:N")
    RESULTS.mkdir(exist_ok=True)
    chart.properties(width=600, title="Calls per row").save(RESULTS / "faults.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--case", nargs="*", help="some cases only, by name")
    given = parser.parse_args()
    console = Console(width=150)
    names = (
        "case",
        "rows",
        "answered",
        "with a reason",
        "calls",
        "refused",
        "paid",
        "most paid for a row",
        "s",
        "wrong",
    )
    table = Table(*names, title=f"faults; load {os.getloadavg()[0]:.1f}")
    results = []
    with serve(Script()) as server:
        for case, script in cases(given.rows).items():
            if given.case and case not in given.case:
                continue
            result = play(server, case, script, given.rows)
            results.append(result)
            counts = (result.rows, result.answered, result.rows - result.answered, result.calls, result.refused)
            told = ", ".join(f"{count} x {what}" for what, count in result.wrong.most_common(3)) or "0"
            more = (f"{result.paid:,}", str(result.most_paid), f"{result.seconds:.1f}", told)
            table.add_row(case, *(f"{count:,}" for count in counts), *more)
    console.print(table)
    draw(results)
    assert all(result.rows == given.rows and not result.wrong for result in results)


if __name__ == "__main__":
    main()

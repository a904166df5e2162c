"""Four Spark tasks on one limited endpoint: how much of its quota they use together, and how much is refused.

    python -m benchmarks.budget_sharing [--rows 3000] [--per-minute 3000]

A standalone cluster of two workers, each running two tasks at a time, classifies one file of conversations against a
loopback server whose quota is enforced in every second; once the settings name the quota, once nobody told it. The
oracle is the quota itself. Steady is measured from ten seconds after the first call until nine tenths of the rows are
answered: before, Python starts in each task; after, tasks run out of rows one by one. Prints the table and writes it to
benchmarks/results/budget_sharing.md.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from tests.engines.classify_apart import SLOT, Order
from tests.engines.cluster import standalone

RESULTS = Path(__file__).parent / "results"
WARM_UP_S = 10.0
BUCKETS_PER_S = 10
SPARK = {"spark.default.parallelism": 4, "spark.sql.shuffle.partitions": 4, "spark.driver.memory": "1g"}


@dataclass(frozen=True)
class Shared:
    """What four tasks made of a quota.

    Attributes:
        told: Whether the settings named the quota.
        steady: Answers in the steady part over what the quota grants in that time.
        overall: The same from the first call to the last answer.
        refused: Refused calls over all calls.
        lost: Rows without an answer.
        twice: Answers beyond one per row that the server gave.
        seconds: From the first call to the last answer.
    """

    told: bool
    steady: float
    overall: float
    refused: float
    lost: int
    twice: int
    seconds: float


def share(rows: int, per_minute: int, *, told: bool) -> Shared:
    """Runs four tasks against a server with this quota, and counts there."""
    limits = {"requests_per_minute": per_minute, "window_s": 1, "retry_after": "ms", "headers": "none"}
    script = Script(latency={"median_s": 0.5, "sigma": 0.4}, limits=limits, slot=SLOT)
    known: dict[str, Any] = {"requests_per_minute": per_minute} if told else {}
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(script) as server,
        standalone(Path(folder), workers=2, cores=2) as cluster,
    ):
        order = Order(cluster.master, server.base_url, folder, rows, spark=SPARK, endpoint=known)
        driver = order.start()
        try:
            driver.wait(600)
        finally:
            driver.kill()
            driver.wait()
        answers = order.answers()
        stats = server.stats()
    answered = np.cumsum(stats["series"]["answered"])
    end = int(np.argmax(answered == answered[-1])) / BUCKETS_PER_S
    nine_tenths = int(np.searchsorted(answered, 0.9 * rows))
    warm = int(WARM_UP_S * BUCKETS_PER_S)
    per_second = per_minute / 60
    steady = (
        (answered[nine_tenths] - answered[warm]) / (nine_tenths - warm) * BUCKETS_PER_S if nine_tenths > warm else 0
    )
    return Shared(
        told=told,
        steady=float(steady / per_second),
        overall=float(answered[-1] / (per_second * end)),
        refused=stats["refused"] / stats["calls"],
        lost=rows - answers.filter(status="answered")["content_hash"].n_unique(),
        twice=stats["answered"] - rows,
        seconds=end,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--per-minute", type=int, default=3000)
    given = parser.parse_args()
    table = Table("quota", "steady share", "overall share", "refused", "rows lost", "paid twice", "seconds", "load")
    lines = ["| quota | steady share | overall share | refused | rows lost | paid twice | seconds | load average |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for told in (True, False):
        found = share(given.rows, given.per_minute, told=told)
        cells = [
            f"{given.per_minute} a minute, {'told' if told else 'learned'}",
            f"{found.steady:.1%}",
            f"{found.overall:.1%}",
            f"{found.refused:.2%}",
            str(found.lost),
            str(found.twice),
            f"{found.seconds:.1f}",
            f"{os.getloadavg()[0]:.1f}",
        ]
        table.add_row(*cells)
        lines.append(f"| {' | '.join(cells)} |")
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "budget_sharing.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

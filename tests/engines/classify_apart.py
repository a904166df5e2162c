"""Classify on a Spark cluster, driven from a process of its own: `python -m tests.engines.classify_apart ORDER`.

A process of its own because a Python process has one Spark session at a time, and this one's cluster gets killed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tests.engines.cluster import CHECKOUT, environment
from tests.requests.builders import AFTER, BEFORE, batches, endpoint, plan, prompt, texts

SLOT = {"before": BEFORE, "after": AFTER}
FINGERPRINT = "f" * 16


@dataclass(frozen=True)
class Order:
    """What to classify, where.

    Attributes:
        master: The cluster.
        base_url: The endpoint.
        folder: Where the rows are put in one file, and answers and journal are written.
        rows: How many.
        spark: More settings of Spark.
        endpoint: More settings of the endpoint.
    """

    master: str
    base_url: str
    folder: str
    rows: int
    spark: dict[str, Any] = dataclasses.field(default_factory=dict)
    endpoint: dict[str, Any] = dataclasses.field(default_factory=dict)

    def start(self) -> subprocess.Popen[bytes]:
        """Starts the process; its output goes to `folder`/driver.log."""
        command = [sys.executable, "-m", "tests.engines.classify_apart", json.dumps(dataclasses.asdict(self))]
        with (Path(self.folder) / "driver.log").open("wb") as log:
            # A Connect session of this process leaves variables that would make the driver look for its server.
            own = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
            variables = own | environment()
            return subprocess.Popen(command, env=variables, cwd=CHECKOUT, stdout=log, stderr=log)

    def answers(self) -> pl.DataFrame:
        """The table of responses; an error with the end of the log where there is none."""
        parts = sorted((Path(self.folder) / "responses").glob("*.parquet"))
        if not parts:
            raise RuntimeError((Path(self.folder) / "driver.log").read_text()[-3000:])
        return pl.read_parquet(parts)

    def paid_for(self) -> int:
        """How many answers the journal holds."""
        from semtel_dagster.requests.journal import Journal

        journal = Journal(f"{self.folder}/journal", "colour", FINGERPRINT)
        journal.close()
        return len(journal)


def hashes(rows: int) -> set[str]:
    """The content hashes of the rows."""
    return {hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in texts(rows)}


def main(order: Order) -> None:
    """Classifies as the asset does."""
    from assets.classify import ask
    from semtel_dagster.engines.session import SparkSessions
    from semtel_dagster.engines.spark import SparkEngine
    from semtel_dagster.reducers import BatchSettings
    from semtel_dagster.requests.classify import ClassifyBatches

    folder = Path(order.folder)
    for name in ("rows", "responses"):
        (folder / name).mkdir()
    pq.write_table(pa.Table.from_batches(batches(texts(order.rows))), folder / "rows" / "part-0.parquet")
    sessions = SparkSessions({"master": order.master} | order.spark)
    engine = SparkEngine(sessions)
    a_plan = plan(folder / "journal", endpoint(order.base_url, **order.endpoint), hedge=False)  # hedges pay twice
    rows = engine.scan([str(folder / "rows")])
    answers = ask(rows, ClassifyBatches(prompt(), a_plan), engine, BatchSettings(), "2026-11-09")
    engine.write(answers, str(folder / "responses"))
    sessions().stop()


if __name__ == "__main__":
    main(Order(**json.loads(sys.argv[1])))

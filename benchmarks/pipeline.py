"""The whole pipeline over real conversations, twice: time, peak memory, calls, and whether every row is accounted for.

    python benchmarks/pipeline.py [sharegpt] [recllmsim]

Reads shared/data beside the checkout; answers come from the embedded model. Each run is a process of its own, as a user
starts it: `semtel run --json` over all weeks for topic, expertise and satisfaction.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import yaml
from rich.console import Console
from rich.table import Table

CHECKOUT = Path(__file__).resolve().parent.parent
CLASSIFIERS = ["topic", "expertise", "satisfaction"]
# Rows of the source's weeks, stage by stage, per week, classifier and task; 1 where all agree.
ADD_UP = """
with c as (select week, count(*) n from conversations group by week),
     s as (select week, count(*) n from sampled_conversations group by week),
     g as (select week, sum(group_size) n from distinct_conversations group by week),
     l as (select week, classifier, task, count(*) n from labels group by all),
     h as (select week, classifier, task, sum(n) n from label_shares where segment = 'all' group by all)
select count(*), sum((c.n = s.n and s.n = g.n and g.n = l.n and l.n = h.n)::int)
from l join c using (week) join s using (week) join g using (week) join h using (week, classifier, task)
"""


def run_once(folder: Path) -> dict[str, object]:
    """One `semtel run --json`: seconds, peak megabytes, and the sums of its partitions."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("SEMTEL_", "DAGSTER_", "OPENAI_"))
    }
    started = time.perf_counter()
    with (folder / "run.json").open("wb") as out, (folder / "run.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "semtel_dagster", "run", "--json"], cwd=folder, env=kept, stdout=out, stderr=log
        )
        _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit((folder / "run.log").read_text(errors="replace")[-2000:])
    partitions = json.loads((folder / "run.json").read_text())
    names = ("conversations", "calls", "cached", "answered", "invalid", "unanswered")
    return {
        "seconds": time.perf_counter() - started,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1024,
        **{name: sum(partition[name] for partition in partitions) for name in names},
    }


def main() -> None:
    table = Table(
        "source", "run", "s", "CPU s", "peak MB", "labelled", "calls", "from journal", "partitions that add up"
    )
    for name in sys.argv[1:] or ["sharegpt", "recllmsim"]:
        source = CHECKOUT.parent / "shared" / "data" / name / "conversations.parquet"
        if not source.exists():
            raise SystemExit(f"{name} is not beside the checkout: shared/data/{name}/conversations.parquet")
        with tempfile.TemporaryDirectory() as folder:
            settings = {
                "storage": "./data",
                "first_week": "2026-09-21",
                "source": {"path": str(source)},
                "classifiers": CLASSIFIERS,
                "endpoints": [{"name": "embedded", "kind": "embedded"}],
            }
            Path(folder, "semtel.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
            for run in ("first", "again"):
                found = run_once(Path(folder))
                with duckdb.connect(f"{folder}/data/semtel.duckdb", read_only=True) as warehouse:
                    partitions, add_up = warehouse.execute(ADD_UP).fetchall()[0]
                table.add_row(
                    name,
                    run,
                    *(f"{found[figure]:,.0f}" for figure in ("seconds", "cpu", "peak_mb")),
                    *(f"{found[figure]:,}" for figure in ("answered", "calls", "cached")),
                    f"{add_up} of {partitions}",
                )
    Console().print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", table)


if __name__ == "__main__":
    main()

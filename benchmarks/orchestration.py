"""What Dagster costs over the work itself: a backfill of many tiny partitions, run as `semtel run` runs them.

    python benchmarks/orchestration.py                  # 8 weeks x 5 classifiers
    python benchmarks/orchestration.py --weeks 52       # 260 partitions; some five minutes

Every partition is three kinds of Dagster run, in this process, on the instance that ships (SQLite): prepare a week
(seven tables), label a classifier's week (three), report a week. Of each run's wall time the work is what the stages
take to compute and write; all else is the cost: runs, events, inputs, metadata, checks. A six-asset partition is a
week's preparation and one classifier's labels, though a week is prepared once for all its classifiers. Writes
benchmarks/results/orchestration.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import yaml

import assets.aggregate
import assets.embed_dedupe
import assets.report
from semtel_dagster.definitions import build_defs
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.jobs import LABEL_JOB, PREPARE_JOB, REPORT_JOB
from semtel_dagster.runs import open_instance, run_all, steps_of
from semtel_dagster.settings import Settings, load_settings

RESULTS = Path(__file__).parent / "results"
CLASSIFIERS = ["complexity", "expertise", "intent", "satisfaction", "topic"]
WORK = [
    (PolarsEngine, "write"),
    (assets.embed_dedupe, "deduplicate"),
    (assets.aggregate, "aggregate"),
    (assets.report, "write_report"),
]
FIRST_WEEK = "2025-11-03"
BUDGET_S = 3.0


class Run(NamedTuple):
    """One Dagster run in seconds: all of it, and the stages' part."""

    wall: float
    work: float
    cpu: float
    cpu_work: float

    @property
    def cost(self) -> float:
        return self.wall - self.work

    @property
    def cpu_cost(self) -> float:
        return self.cpu - self.cpu_work


@contextmanager
def timed_work() -> Iterator[dict[str, float]]:
    """Adds up the wall and CPU time that the stages spend."""
    spent = {"wall": 0.0, "cpu": 0.0}

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                spent["wall"] += time.perf_counter() - wall
                spent["cpu"] += time.process_time() - cpu

        return run

    with ExitStack() as patches:
        for place, name in WORK:
            patches.enter_context(patch.object(place, name, timed(getattr(place, name))))
        yield spent


def project(folder: Path, weeks: int, per_week: int) -> tuple[Settings, list[str]]:
    """Settings over a source of tiny weeks, and these weeks."""
    settings_file = folder / "semtel.yaml"
    given = {
        "storage": "./data",
        "first_week": FIRST_WEEK,
        "source": {"path": "source.jsonl"},
        "classifiers": CLASSIFIERS,
        "endpoints": [{"name": "embedded", "kind": "embedded"}],
    }
    settings_file.write_text(yaml.safe_dump(given), encoding="utf-8")
    settings = load_settings(settings_file)
    keys = build_defs(settings).resolve_job_def(PREPARE_JOB).partitions_def
    assert keys is not None
    wanted = list(keys.get_partition_keys())[:weeks]
    with (folder / "source.jsonl").open("w", encoding="utf-8") as file:
        for week in wanted:
            for number in range(per_week):
                said = [
                    {"role": "user", "content": f"How do I sort list {number} of {week}?"},
                    {"role": "assistant", "content": "Call sorted()."},
                ]
                row = {"conversation_id": f"{week}-{number}", "user_id": f"u{number}", "started_at": week}
                file.write(json.dumps(row | {"messages": said}) + "\n")
    return settings, wanted


def measure(settings: Settings, weeks: list[str]) -> dict[str, list[Run]]:
    """Wall time, work, CPU time and CPU time of the work of every run, by job."""
    defs, found = build_defs(settings), defaultdict(list)
    with open_instance(settings.storage) as instance, timed_work() as spent:
        for step, outcome in run_all(steps_of(weeks, CLASSIFIERS), defs, instance):
            if outcome is None:
                start, before = (time.perf_counter(), time.process_time()), dict(spent)
                continue
            assert outcome.error is None, outcome.error
            wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
            found[step.job].append(Run(wall, spent["wall"] - before["wall"], cpu, spent["cpu"] - before["cpu"]))
    return found


def tabulated(found: dict[str, list[Run]]) -> list[dict[str, object]]:
    """One row per job; the first run of each is told apart, since it loads what later ones keep."""
    rows = []
    for job, tables in ((PREPARE_JOB, 7), (LABEL_JOB, 3), (REPORT_JOB, 1)):
        runs = found[job]
        tenth = max(1, len(runs) // 10)
        first, last = (statistics.mean(run.cpu_cost for run in part) for part in (runs[:tenth], runs[-tenth:]))
        rows.append(
            {
                "run": job,
                "tables": tables,
                "runs": len(runs),
                "first s": f"{runs[0].wall:.2f}",
                "median s": f"{statistics.median(run.wall for run in runs):.2f}",
                "of it work": f"{statistics.median(run.work for run in runs):.2f}",
                "cost of Dagster": f"{statistics.median(run.cost for run in runs):.2f}",
                "cost, CPU s": f"{statistics.median(run.cpu_cost for run in runs):.2f}",
                "cost, CPU s, first and last tenth": f"{first:.2f}, {last:.2f}",
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=8)
    parser.add_argument("--conversations", type=int, default=20, help="in each week")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DAGSTER_HOME"] = f"{folder}/home"
        settings, weeks = project(Path(folder), options.weeks, options.conversations)
        found = measure(settings, weeks)
    rows = tabulated(found)
    wall, cpu = (
        sum(statistics.median(getattr(run, clock) for run in found[job]) for job in (PREPARE_JOB, LABEL_JOB))
        for clock in ("cost", "cpu_cost")
    )
    whole = sum(run.cost for runs in found.values() for run in runs) / (len(weeks) * len(CLASSIFIERS))
    lines = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0]), *(" | ".join(map(str, r.values())) for r in rows)]
    text = "\n".join(f"| {line} |" for line in lines)
    text += (
        f"\n\nA six-asset partition (a week's preparation and one classifier's labels) costs {wall:.2f} s over its "
        f"work, {cpu:.2f} s of it CPU; the budget is {BUDGET_S:.0f} s. In a backfill of {len(weeks)} weeks x "
        f"{len(CLASSIFIERS)} classifiers, where a week is prepared and reported once, it is {whole:.2f} s each. "
        f"Load average {load:.1f} before, {os.getloadavg()[0]:.1f} after."
    )
    print(text)
    RESULTS.mkdir(exist_ok=True)
    command = f"`python benchmarks/orchestration.py --weeks {options.weeks}`"
    (RESULTS / "orchestration.md").write_text(f"# Orchestration\n\n{command}\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Conversations by the thousand to the million through every stage but the model, beside hand-written queries.

    python benchmarks/scale.py                          # 10,000, 30,000 and 100,000
    python benchmarks/scale.py --sizes 100000 1000000   # a million: 6 GB of text; take twenty minutes, 10 GB of disk

Each stage, and each query, runs in a fresh process over the tables that the stage before wrote, and is measured there:
wall time, CPU time and the peak of resident memory, imports left out of the times. Prints a table and writes it with
a chart to benchmarks/results/scale.md and scale.svg.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl
import pyarrow as pa

from benchmarks.generate import Bank, Plan, default_bank, write

RESULTS = Path(__file__).parent / "results"
STAGES = ("conversations", "sample", "truncate", "deduplicate", "answers", "parse", "aggregate")


def peak_mb() -> float:
    """The peak of this process's resident memory, imports included."""
    # ru_maxrss would count the parent's memory at the fork.
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure_here(by: str, stage: str, work: Path) -> dict[str, Any]:
    """Runs one stage in this process."""
    if stage == "differences":
        from benchmarks.scale_peers import differences

        return differences(work)
    if by == "semtel":
        from benchmarks.scale_stages import RUNS
    else:
        from benchmarks.scale_peers import RUNS
    pa.array(["pyarrow imports pandas at the first list"])
    if by == "semtel":
        nw.from_native(pl.LazyFrame())  # imports its half for Polars at the first frame
    imported = peak_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    RUNS[stage](work)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall_s": wall, "cpu_s": cpu, "peak_mb": peak_mb(), "imports_mb": imported}


def measure(by: str, stage: str, work: Path) -> dict[str, Any]:
    """Runs one stage in a fresh process."""
    load = os.getloadavg()[0]
    command = [sys.executable, __file__, "--measure", by, stage, str(work)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return {"by": by, "stage": stage, "load": load} | json.loads(done.stdout)


def run(size: int, work: Path) -> list[dict[str, Any]]:
    """Generates so many conversations and measures every stage, then its query, over them."""
    if not (work / "source").exists():
        write(Plan(size), Bank(default_bank()), work / "source")
    measured = []
    for stage in STAGES:
        for by in ("semtel", "peer") if stage != "answers" else ("semtel",):
            row = {"conversations": size} | measure(by, stage, work)
            print(json.dumps(row), file=sys.stderr, flush=True)
            measured.append(row)
    print(json.dumps({"conversations": size} | measure("peer", "differences", work)), file=sys.stderr, flush=True)
    return [row for row in measured if row["stage"] != "answers"]


def slope(rows: list[dict[str, Any]], clock: str) -> float | None:
    """The exponent of time in size between the two largest sizes: 1 is linear."""
    (few, small), (many, large) = sorted((row["conversations"], row[clock]) for row in rows)[-2:]
    return math.log(large / small) / math.log(many / few)


def tabulated(measured: list[dict[str, Any]]) -> list[dict[str, object]]:
    """One row per stage and size: the stage beside its query."""
    found = []
    for stage in STAGES:
        own, peer = ([r for r in measured if (r["stage"], r["by"]) == (stage, by)] for by in ("semtel", "peer"))
        for mine, theirs in zip(own, peer, strict=True):
            n = mine["conversations"]
            upto = [row for row in own if row["conversations"] <= n]
            found.append(
                {
                    "stage": stage,
                    "conversations": f"{n:,}",
                    "wall s": f"{mine['wall_s']:.2f}",
                    "CPU s": f"{mine['cpu_s']:.2f}",
                    "peak MB (imports)": f"{mine['peak_mb']:.0f} ({mine['imports_mb']:.0f})",
                    "exponent (CPU)": f"{slope(upto, 'cpu_s'):.2f}" if len(upto) > 1 else "",
                    "query: wall s": f"{theirs['wall_s']:.2f}",
                    "query: CPU s": f"{theirs['cpu_s']:.2f}",
                    "query: peak MB": f"{theirs['peak_mb']:.0f}",
                    "speed against the query, wall (CPU)": f"{theirs['wall_s'] / mine['wall_s']:.2f} "
                    f"({theirs['cpu_s'] / mine['cpu_s']:.2f})",
                    "load": f"{mine['load']:.1f}, {theirs['load']:.1f}",
                }
            )
    return found


def show(rows: list[dict[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(width=200).print(table)


def markdown(rows: list[dict[str, object]]) -> str:
    lines = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0])]
    lines += [" | ".join(map(str, row.values())) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def chart(measured: list[dict[str, Any]], path: Path) -> None:
    import altair as alt

    names = {"semtel": "the stage", "peer": "hand-written query"}
    data = pl.DataFrame([row | {"by": names[row["by"]]} for row in measured])
    size = alt.X("conversations", scale=alt.Scale(type="log"), title="conversations")
    base = alt.Chart(data).mark_line(point=True).encode(x=size, color=alt.Color("stage", sort=list(STAGES)))
    base = base.encode(strokeDash=alt.StrokeDash("by", sort=list(names.values()), title=None))
    cpu = base.encode(y=alt.Y("cpu_s", scale=alt.Scale(type="log"), title="CPU seconds"))
    memory = base.encode(y=alt.Y("peak_mb", title="peak of resident memory, MB"))
    (cpu.properties(width=360, height=300) | memory.properties(width=360, height=300)).save(path)


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure_here(sys.argv[2], sys.argv[3], Path(sys.argv[4]))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--work", type=Path, default=None, help="where the tables lie; unset: a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        measured = [row for size in options.sizes for row in run(size, work / str(size))]
    rows = tabulated(measured)
    show(rows)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "scale.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    command = f"`python benchmarks/scale.py --sizes {' '.join(map(str, options.sizes))}`"
    (RESULTS / "scale.md").write_text(f"# Scale on Polars\n\n{command}\n\n{markdown(rows)}\n", encoding="utf-8")
    chart(measured, RESULTS / "scale.svg")


if __name__ == "__main__":
    main()

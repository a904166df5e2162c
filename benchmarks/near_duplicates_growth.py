"""Near duplicates from ten thousand rows to a million: time, memory and recall of the groups that the stage makes.

    python benchmarks/near_duplicates_growth.py
    python benchmarks/near_duplicates_growth.py --sizes 10000 100000

256 dimensions, a fifth of the rows planted at cosine .98 to another. Each size runs in a fresh process; the search is
timed, making the rows and checking its recall against brute force are not. Prints a table and writes it with a plot to
benchmarks/results/near_duplicates_growth.md and .svg.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.near_duplicates import RESULTS, THRESHOLD, markdown, timed
from semtel_dagster.embedding.base import unit_rows
from semtel_dagster.embedding.cells import build_cells
from semtel_dagster.embedding.near_duplicates import EXACT_BELOW, Comparisons, find_groups

SIZES = [10_000, 30_000, 100_000, 300_000, 1_000_000]


def planted_in_blocks(rows: int, dimensions: int = 256, block: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """The same kind of rows in float32, made without holding them twice; and each copy's place with its source's."""
    rng = np.random.default_rng(0)
    topics, vectors = unit_rows(rng.normal(size=(200, dimensions))), np.empty((rows, dimensions), dtype=np.float32)
    places, originals = rng.permutation(rows), rows * 4 // 5
    source = places[rng.integers(originals, size=rows - originals)]
    for start in range(0, rows, block):
        into = places[start : min(start + block, originals if start < originals else rows)]
        noise = unit_rows(rng.normal(size=(len(into), dimensions)))
        vectors[into] = unit_rows(0.6 * topics[rng.integers(200, size=len(into))] + 0.8 * noise)
    for start in range(originals, rows, block):
        into, of = places[start : start + block], vectors[source[start - originals :][:block]]
        noise = rng.normal(size=of.shape)
        noise = unit_rows(noise - (noise * of).sum(axis=1, keepdims=True) * of)
        vectors[into] = 0.98 * of + np.sqrt(1 - 0.98**2) * noise
    return vectors, np.stack([places[originals:], source])


def grown(rows: int) -> dict[str, object]:
    """Groups so many planted rows in this process."""
    vectors, pairs = planted_in_blocks(rows)
    before, load = resident_mb("VmRSS"), os.getloadavg()[0]
    groups, wall, cpu = timed(lambda: find_groups(vectors, THRESHOLD))
    peak = resident_mb("VmHWM")
    together = groups.representative[pairs[0]] == groups.representative[pairs[1]]
    return {
        "rows": rows,
        "wall s": round(wall, 2),
        "CPU s": round(cpu, 2),
        "peak MB": round(peak),
        "of it vectors and imports": round(before),
        "copies grouped with their source": f"{together.mean():.5f}",
        "recall of edges, sampled rows": f"{recall(vectors):.5f}",
        "load": round(load, 1),
    }


def recall(vectors: np.ndarray, sampled: int = 1000) -> float:
    """Of the edges between some rows and all others, by brute force, the share that the search compares."""
    of = np.linspace(0, len(vectors) - 1, min(sampled, len(vectors))).astype(np.int64)
    every = np.arange(len(vectors))
    nearest = build_cells(vectors).assign(vectors) if len(vectors) >= EXACT_BELOW else None
    exact = Comparisons(vectors, THRESHOLD).edges(of, every)
    cells = Comparisons(vectors, THRESHOLD, nearest).edges(of, every)
    return len(cells.left) / len(exact.left) if len(exact.left) else 1.0


def resident_mb(field: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def growth(sizes: list[int]) -> None:
    """Each size in a fresh process; a table and a plot."""
    rows: list[dict[str, object]] = []
    for size in sizes:
        run = subprocess.run([sys.executable, __file__, "--one", str(size)], check=True, stdout=subprocess.PIPE)
        row = json.loads(run.stdout)
        if rows:
            exponent = math.log(row["CPU s"] / rows[-1]["CPU s"]) / math.log(row["rows"] / rows[-1]["rows"])
        rows.append(row | {"exponent (CPU)": f"{exponent:.2f}" if rows else "-"})
        print(rows[-1], file=sys.stderr, flush=True)
    command = f"`python benchmarks/near_duplicates_growth.py --sizes {' '.join(map(str, sizes))}`"
    text = (
        f"# Near duplicates: growth\n\n{command}, 256 dimensions, a fifth planted at cosine .98\n\n{markdown(rows)}\n"
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "near_duplicates_growth.md").write_text(text, encoding="utf-8")
    import altair as alt
    import polars as pl

    data = pl.DataFrame(rows).rename({"wall s": "wall", "CPU s": "CPU", "peak MB": "memory"})
    times = data.unpivot(["wall", "CPU"], index="rows", variable_name="clock", value_name="seconds")
    log, size = alt.Scale(type="log"), alt.X("rows", scale=alt.Scale(type="log"))
    clocks = alt.Chart(times).mark_line(point=True).encode(x=size, y=alt.Y("seconds", scale=log), color="clock")
    memory = alt.Chart(data).mark_line(point=True).encode(x=size, y=alt.Y("memory", scale=log, title="peak MB"))
    (clocks | memory).save(RESULTS / "near_duplicates_growth.svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(grown(options.one)))
        return
    growth(options.sizes)


if __name__ == "__main__":
    main()

"""Tables and the plot of `reducers.py`, and the file that keeps their figures from one run to the next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from benchmarks.reducers_asked import Recorded
from semtel_dagster.tuning.measuring import Measured
from semtel_dagster.tuning.ways import SINGLE

COLUMNS = ("calls", "in", "cached", "out", "cost", "fewer tokens", "agreement with single calls", "right", "flips", "s")


@dataclass(frozen=True)
class Row:
    """A way in the table and in the plot.

    Attributes:
        way: In words.
        cells: Under COLUMNS.
        cost: USD; tokens where nothing has a price.
        cheaper: How many times cheaper than single calls.
        agreement: With single calls, of the task that agrees least, with the ends of its 95 % interval.
    """

    way: str
    cells: tuple[str, ...]
    cost: float
    cheaper: float
    agreement: float
    low: float
    high: float


def rows_of(recorded: Recorded, answered: float | None = None) -> list[Row]:
    """A row for each way.

    Args:
        recorded: The ways.
        answered: The share of conversations that students answer in a way with a cascade.
    """
    single, rows = recorded.measured[SINGLE], []
    for way, each in recorded.measured.items():
        name = way.name.replace("cascade", f"cascade ({answered:.0%} answered)") if answered is not None else way.name
        cost, whole = (one.cost_usd or float(one.tokens) for one in (each, single))
        rate, low, high = (
            float(end or 0.0) for end in (each.worst.value, each.worst.low(0.025), each.worst.high(0.025))
        )
        cells = _cells(each, single, recorded.right(way))
        rows.append(Row(name, cells, cost, whole / cost, rate, low, high))
    return rows


def _cells(each: Measured, single: Measured, right: float) -> tuple[str, ...]:
    worst = each.worst
    ends = f" ({worst.low(0.025):.1%} to {worst.high(0.025):.1%})" if each.way != SINGLE else ""
    return (
        f"{each.calls:,}", f"{each.input_tokens:,}", f"{each.cached_tokens:,}", f"{each.output_tokens:,}",
        f"{each.cost_usd:.4f} $" if each.cost_usd else "", f"{single.tokens / each.tokens:.1f} x",
        f"{worst.value:.1%}{ends}", "" if isnan(right) else f"{right:.1%}",
        "" if each.flips is None else f"{each.flips.value:.1%}", f"{each.seconds:.1f}",
    )  # fmt: skip


def show(title: str, rows: Sequence[Row], console: Console) -> None:
    table = Table("way", title=title)
    for name in COLUMNS:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(row.way, *row.cells)
    console.print(table)


class Results:
    """What runs found, by title: written as figures, tables and one plot."""

    def __init__(self, folder: Path, *, fresh: bool) -> None:
        """Begins anew, or goes on with what earlier runs found."""
        self._folder, self._path = folder, folder / "reducers.json"
        self.rows: dict[str, list[Row]] = {}
        self.told: dict[str, list[str]] = {}
        if fresh:
            self._path.unlink(missing_ok=True)

    def write(self) -> None:
        """Adds this run's rows to those in the file, which another run may have added to meanwhile."""
        kept = json.loads(self._path.read_text()) if self._path.is_file() else {"rows": {}, "told": {}}
        rows = {title: [Row(**each) for each in some] for title, some in kept["rows"].items()} | self.rows
        told = kept["told"] | self.told
        self._folder.mkdir(parents=True, exist_ok=True)
        plain = {title: [asdict(each) for each in some] for title, some in rows.items()}
        self._path.write_text(json.dumps({"rows": plain, "told": told}, indent=1))
        tables = [_as_markdown(title, some) for title, some in rows.items()]
        lines = [f"- {line}" for some in told.values() for line in some]
        (self._folder / "reducers.md").write_text("\n".join([*tables, *lines, ""]))
        plot({title.split(":")[0]: some for title, some in rows.items()}, self._folder / "reducers.png")


def _as_markdown(title: str, rows: Sequence[Row]) -> str:
    lines = [f"| way | {' | '.join(COLUMNS)} |", "|---" + "|--:" * len(COLUMNS) + "|"]
    lines += [f"| {row.way} | {' | '.join(row.cells)} |" for row in rows]
    return "\n".join([f"## {title}", "", *lines, ""])


def plot(found: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Cost against agreement, a panel per data set and endpoint."""
    import altair as alt

    values = [
        {"data": name, "best": _best(row, rows)} | {key: value for key, value in asdict(row).items() if key != "cells"}
        for name, rows in found.items()
        for row in rows
    ]
    cheaper = alt.X("cheaper:Q", title="times cheaper", scale=alt.Scale(type="log", nice=False))
    base = alt.Chart(pl.DataFrame(values)).encode(x=cheaper, color=alt.Color("best:N", title="nothing beats it"))
    title = "agreement with single calls"
    y = alt.Y("agreement:Q", axis=alt.Axis(format="%"), scale=alt.Scale(zero=False), title=title)
    bars = base.mark_rule(opacity=0.5).encode(y="low:Q", y2="high:Q")
    names = base.transform_filter("datum.best == 'yes'").mark_text(align="right", dx=-6, dy=9, fontSize=8, limit=200)
    chart = (bars + base.mark_circle(size=60).encode(y=y) + names.encode(y=y, text="way:N")).properties(
        width=380, height=300
    )
    panels = chart.facet(alt.Facet("data:N", title=None), columns=3)
    panels.resolve_scale(x="independent", y="independent").save(path, ppi=72)


def _best(one: Row, rows: Sequence[Row]) -> str:
    """Whether no other way agrees as often at a lower cost."""
    return "no" if any(row.cost < one.cost and row.agreement >= one.agreement for row in rows) else "yes"

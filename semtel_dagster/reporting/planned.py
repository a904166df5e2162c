"""A plan as a terminal table: a line per partition, or per classifier and reason when there are many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from semtel_dagster.reporting import wording

MOST_ROWS = 30
_FIELDS = ("conversations", "calls", "input_tokens")


def plan_table(title: str, partitions: Sequence[Mapping[str, Any]]) -> Table:
    """The partitions with their reasons, calls and cost, and the sum.

    Args:
        title: Above the table.
        partitions: Objects as `semtel plan --json` gives them.
    """
    single = len(partitions) <= MOST_ROWS
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False,
        padding=(0, 1, 0, 0),
    )  # fmt: skip
    table.add_column("week" if single else "weeks", no_wrap=True)
    for name in ("classifier", "reason"):
        table.add_column(name, no_wrap=True)
    for name in ("sampled", "calls", "tokens in", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in partitions:
        groups.setdefault((row["week"] if single else "", row["classifier"], row["reason"]), []).append(row)
    for (_, classifier, reason), rows in groups.items():
        table.add_row(_weeks(rows), classifier, Text(reason, style="dim"), *_sums(rows))
    if len(groups) > 1:
        table.add_section()
        table.add_row("all", "", "", *_sums(partitions), style="bold")
    return table


def _weeks(rows: Sequence[Mapping[str, Any]]) -> str:
    weeks = sorted(row["week"] for row in rows)
    return weeks[0] if len(weeks) == 1 else f"{len(weeks)}: {weeks[0]} to {weeks[-1]}"


def _sums(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    counts = [wording.short(sum(row[name] for row in rows)) for name in _FIELDS]
    return [*counts, wording.dollars(sum(row["cost_usd"] for row in rows))]

"""Tables for the terminal: shares of the labels by week, and what a run did. Pages for the browser: `html.py`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from semtel_dagster.reporting import wording
from semtel_dagster.reporting.accounting import account_week
from semtel_dagster.reporting.agreement import Agreement
from semtel_dagster.reporting.frames import stored_classifiers
from semtel_dagster.reporting.shares import ALL, Compare, ShareRow, comparable, read_shares

MOST_LABELS = 8
_BAR = 14
_EIGHTHS = " ▏▎▍▌▋▊▉"
_RUN_COLUMNS = {
    "conversations": "sampled",
    "calls": "calls",
    "refused": "refused",
    "retried": "retried",
    "cached": "from\njournal",
    "answered": "labelled",
    "invalid": "invalid",
    "unanswered": "no\nanswer",
    "input_tokens": "tokens\nin",
    "output_tokens": "tokens\nout",
}
_ALWAYS = {"conversations", "calls", "answered"}
_MOST_RUN_ROWS = 12


def weekly_tables(storage: str, weeks: Sequence[str], compare: Compare | None = None) -> list[Table]:
    """The newest week's label shares, one table per classifier, then the row counts of all weeks.

    Args:
        storage: Root of the dataset layout.
        weeks: Mondays, e.g. "2026-11-09".
        compare: Compares two weeks' rows (`estimation.change.changes`); with it, changes that stand out from
            chance are bold.
    """
    if not weeks:
        return []
    days = sorted(dt.date.fromisoformat(week) for week in weeks)
    classifiers = stored_classifiers(storage, "label_shares", days[-1])
    return [
        *(shares_table(storage, days[-1], classifier, compare) for classifier in classifiers),
        accounting_table(storage, days),
    ]


def shares_table(storage: str, week: dt.date, classifier: str, compare: Compare | None = None) -> Table:
    """A classifier's largest labels in a week, with a bar, the interval and the change from the week before."""
    now = read_shares(storage, week, classifier)
    before = read_shares(storage, week - dt.timedelta(days=7), classifier)
    changes = compare(comparable(now), comparable(before)) if compare else {}
    table = _table(f"{classifier}, week of {wording.day(week)}", "label", ["", "share", "interval", "change", "n"])
    tasks = list(dict.fromkeys(row.task for row in now))
    for task in tasks:
        if len(tasks) > 1:
            table.add_row(Text(wording.words(task), style="bold"))
        rows = [row for row in now if row.task == task and row.segment == ALL]
        for row in _largest(rows):
            significant = row.key in changes and changes[row.key].significant
            previous = comparable(before).get(row.key) if not row.suppressed else None
            table.add_row(*_cells(row, previous, significant=significant))
        rest = len(rows) - len(_largest(rows))
        if rest:
            table.add_row(Text(f"and {rest} more", style="dim"))
    return table


def accounting_table(storage: str, weeks: Iterable[dt.date]) -> Table:
    """What became of every row of the source, a line per week."""
    names = ["source\nrows", "rejected", "accepted", "sampled", "cut", "duplicates", "distinct"]
    table = _table("rows", "week", names)
    for week in weeks:
        row = account_week(storage, week)
        table.add_row(
            week.isoformat(),
            *(
                wording.number(value)
                for value in (
                    row.source_rows,
                    sum(row.rejected.values()),
                    row.conversations,
                    row.sampled,
                    row.truncated,
                    row.exact_duplicates + row.near_duplicates,
                    row.distinct,
                )
            ),
        )
    return table


def agreement_table(agreement: Iterable[Agreement]) -> Table:
    """How often labels are the ones that people gave, a line per task."""
    table = _table("agreement with human labels", "task", ["n", "same label", "commonest\nlabel alone", "kappa"])
    for row in agreement:
        table.add_row(
            wording.words(row.task),
            wording.number(row.n),
            wording.percent(row.accuracy),
            Text(wording.percent(row.baseline), style="dim"),
            wording.decimal(row.kappa),
        )
    return table


def run_table(partitions: Sequence[Mapping[str, Any]]) -> Table:
    """What a run did: a line per partition, or per classifier when there are many, and the sum.

    Counts that are zero everywhere (refusals, say) have no column.

    Args:
        partitions: Objects as `semtel run --json` gives them.
    """
    names = [name for name in _RUN_COLUMNS if name in _ALWAYS or any(row[name] for row in partitions)]
    by_week = len(partitions) <= _MOST_RUN_ROWS
    table = _table("run", "week" if by_week else "classifier", [*(_RUN_COLUMNS[name] for name in names), "cost", "s"])
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for partition in partitions:
        name = f"{partition['week']} {partition['classifier']}" if by_week else partition["classifier"]
        groups.setdefault(name, []).append(partition)
    for name, rows in groups.items():
        failed = any(row.get("error") for row in rows)
        table.add_row(Text(name, style="red" if failed else ""), *_sums(rows, names))
    if len(groups) > 1:
        table.add_section()
        table.add_row("all", *_sums(partitions, names), style="bold")
    return table


def _table(title: str, first: str, columns: Sequence[str]) -> Table:
    table = Table(
        title=escape(title),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    return table


def _cells(row: ShareRow, previous: ShareRow | None, *, significant: bool) -> list[Text]:
    interval = f"{wording.percent(row.low)} to {wording.percent(row.high)}" if row.low is not None else wording.NOTHING
    bar = Text(_bar(row.share), style="dim" if row.label.startswith("(") else "cyan")
    return [
        Text(f"  {row.label}"),
        bar,
        Text(wording.percent(row.share)),
        Text(interval, style="dim"),
        _change(row.share - previous.share if previous else None, significant=significant),
        Text(wording.number(row.n)),
    ]


def _bar(share: float) -> str:
    eighths = round(share * _BAR * 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).strip()


def _change(difference: float | None, *, significant: bool) -> Text:
    if difference is None:
        return Text("")
    arrow = "▲" if difference > 0 else "▼" if difference < 0 else " "
    return Text(f"{arrow} {wording.points(difference)}", style="bold yellow" if significant else "dim")


def _largest(rows: Sequence[ShareRow]) -> list[ShareRow]:
    """All rows of a small table in their order, the largest of a big one."""
    if len(rows) <= MOST_LABELS + 2:
        return list(rows)
    return sorted(rows, key=lambda row: (row.label.startswith("("), -row.share, row.label))[:MOST_LABELS]


def _sums(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    counts = [wording.short(sum(row[name] for row in rows)) for name in names]
    return [
        *counts,
        wording.dollars(sum(row["cost_usd"] for row in rows)),
        f"{sum(row['seconds'] for row in rows):,.1f}",
    ]

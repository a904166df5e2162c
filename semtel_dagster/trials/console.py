"""Evaluations as tables for the terminal. The page for the browser is in `page`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from semtel_dagster.evaluation.agreement import Estimate
from semtel_dagster.evaluation.records import Evaluation, TaskResult
from semtel_dagster.reporting import wording

_WORDS = {"task", "model", "verdict"}
COLOURS = {"aligned": "green", "shifted": "yellow", "worse": "red"}


def evaluation_table(evaluations: Sequence[Evaluation]) -> Table:
    """A line per prompt, model and task: agreement with gold, distance from the baseline, stability, cost, verdict.

    Columns in which nothing stands are left out.
    """
    rows = [_cells(each, task) for each in evaluations for task in each.tasks]
    names = [name for name in rows[0] if any(row[name] != wording.NOTHING for row in rows)]
    if len({each.model for each in evaluations}) == 1:
        names.remove("model")
    table = _table(evaluations[0].model if "model" not in names else "", names)
    for row in rows:
        table.add_row(*(Text(row[name], style=COLOURS.get(row[name], "")) for name in names))
    return table


def robustness_table(evaluations: Sequence[Evaluation]) -> Table | None:
    """A line per task: how many labels the attacks moved; None where that was not measured."""
    rows = [(each, result) for each in evaluations for result in each.injections]
    if not rows:
        return None
    table = _table("injections", ["task", "model", "attacks", "labels moved", "obeyed"])
    for each, result in rows:
        table.add_row(
            wording.words(result.task),
            each.model,
            wording.number(result.n),
            _with_interval(result.moved),
            f"{wording.percent(result.obeyed)} of {result.aimed}",
        )
    return table


def explained(evaluations: Sequence[Evaluation]) -> Iterator[tuple[str, str]]:
    """The verdicts' reasons and the notes, each once, with the style it is printed in."""
    several = len({each.model for each in evaluations}) > 1
    reasons = [
        (COLOURS[each.verdict], f"{each.model}: {reason}" if several else reason)
        for each in evaluations
        for reason in each.reasons
    ]
    yield from dict.fromkeys(reasons)
    for note in dict.fromkeys(note for each in evaluations for note in each.notes):
        yield "dim", note


def _table(title: str, names: Sequence[str]) -> Table:
    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name in names:
        table.add_column(name, justify="left" if name in _WORDS else "right", no_wrap=name not in {"task", "model"})
    return table


def _cells(each: Evaluation, task: TaskResult) -> dict[str, str]:
    agreement, drift = task.agreement, task.drift
    price = each.usage.usd_per_thousand
    return {
        "task": wording.words(task.task),
        "model": each.model,
        "gold": wording.number(task.n_gold),
        "accuracy": _with_interval(agreement.accuracy) if agreement else wording.NOTHING,
        "major-\nity": wording.whole_percent(agreement.majority if agreement else None),
        "F1": wording.decimal(agreement.macro_f1.value if agreement else None),
        "kappa": wording.decimal(agreement.kappa.value if agreement else None),
        "flips": wording.percent(drift.flips if drift else None),
        "moved": wording.percent(drift.total_variation if drift else None),
        "un-\nsteady": wording.percent(task.stability.flip_rate.value if task.stability else None),
        "$/1000": wording.dollars(price) if price is not None else wording.NOTHING,
        "verdict": each.verdict,
    }


def _with_interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return wording.whole_percent(estimate.value)
    return f"{wording.whole_percent(estimate.value)} ({100 * estimate.low:.0f}–{100 * estimate.high:.0f})"

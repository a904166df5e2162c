"""A tuning for people: the table for the terminal, the chart of cost against agreement, and figures as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from semtel_dagster.reporting import wording
from semtel_dagster.reporting.charts import Spec
from semtel_dagster.tuning.measuring import Measured
from semtel_dagster.tuning.running import Found
from semtel_dagster.tuning.ways import SINGLE, Way

_COLUMNS = ("calls", "tokens\nin", "\ncached", "\nout", "cost", "times\nfewer", "agree", "bound", "flips")
_GREEN, _BLUE, _GREY = "#3f9a6b", "#4c86c6", "#9299a1"


def frontier(measured: Sequence[Measured]) -> frozenset[Way]:
    """The ways that no other one beats in both cost and agreement of the worst task."""
    kept: set[Way] = set()
    best = -1.0
    for each in sorted(measured, key=lambda one: (*one.dearness(), -(one.worst.value or 0.0))):
        if (each.worst.value or 0.0) > best:
            best = each.worst.value or 0.0
            kept.add(each.way)
    return frozenset(kept)


def table(found: Found, wanted: float) -> Table:
    """A line per way; the chosen one is marked, what failed is dim."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    shown.add_column("way", overflow="fold")
    for name in _COLUMNS:
        shown.add_column(name, justify="right", no_wrap=True)
    single = found.measured[0]
    for each in found.measured:
        chosen = each.way == found.choice.chosen.way or each.batched(1.0).way == found.choice.chosen.way
        style = "bold green" if chosen else "" if each.way in found.choice.passed else "dim"
        cells = _cells(each, single, found.choice.error)
        shown.add_row(*(Text(cell, style=style) for cell in (("✓ " if chosen else "") + each.way.name, *cells)))
    shown.caption = (
        f"agree: with single calls, in the task that agrees least; bound: of that, from below; wanted: {wanted:.1%}"
    )
    return shown


def _cells(each: Measured, single: Measured, error: float) -> list[str]:
    return [
        wording.number(each.calls),
        wording.short(each.input_tokens),
        wording.short(each.cached_tokens),
        wording.short(each.output_tokens),
        wording.dollars(each.cost_usd) if each.cost_usd else wording.NOTHING,
        f"{single.tokens / each.tokens:.1f}" if each.tokens else wording.NOTHING,
        wording.percent(each.worst.value),
        wording.NOTHING if each.way == SINGLE else wording.percent(each.low(error)),
        wording.percent(each.flips.value if each.flips else None),
    ]


def chart(found: Found, wanted: float) -> Spec:
    """Cost (tokens, where there is no price) against the worst task's agreement, with 95 % intervals."""
    import altair as alt

    priced = any(each.cost_usd for each in found.measured)
    best, chosen = frontier(found.measured), found.choice.chosen
    values = [
        {
            "way": each.way.name,
            "cost": each.cost_usd if priced else each.tokens,
            "agreement": each.worst.value,
            "low": each.worst.low(0.025),
            "high": each.worst.high(0.025),
            "kind": _kind(each, chosen, best),
        }
        for each in found.measured
    ]
    kinds = {"chosen": _GREEN, "on the frontier": _BLUE, "other": _GREY}
    title = "USD for the sample" if priced else "tokens for the sample"
    base = alt.Chart(alt.InlineData(values=values)).encode(
        x=alt.X("cost:Q", title=title, scale=alt.Scale(type="log"), axis=alt.Axis(grid=False, tickCount=6)),
        color=alt.Color("kind:N", scale=alt.Scale(domain=list(kinds), range=list(kinds.values())),
                        legend=alt.Legend(title=None, orient="top")),
    )  # fmt: skip
    y = alt.Y("agreement:Q", title="agreement with single calls", scale=alt.Scale(zero=False),
              axis=alt.Axis(format=".1%"))  # fmt: skip
    points = base.mark_circle(size=80, opacity=1).encode(y=y)
    bars = base.mark_rule(strokeWidth=1.5).encode(y="low:Q", y2="high:Q")
    names = base.transform_filter("datum.kind != 'other'").mark_text(align="left", dx=8, dy=-6, fontSize=10)
    rule = alt.Chart(alt.InlineData(values=[{"wanted": wanted}])).mark_rule(strokeDash=[4, 4]).encode(y="wanted:Q")
    layers = rule + bars + points + names.encode(y=y, text="way:N")
    spec: Spec = layers.properties(height=320, description="Cost against agreement").to_dict(validate=False)
    spec.pop("$schema", None)
    spec.pop("config", None)
    return spec


def _kind(each: Measured, chosen: Measured, best: frozenset[Way]) -> str:
    if each.way == chosen.way or each.batched(1.0).way == chosen.way:
        return "chosen"
    return "on the frontier" if each.way in best else "other"


def as_json(found: Found, wanted: float, confidence: float, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The whole as one document."""
    best = frontier(found.measured)
    return {
        "agreement": wanted,
        "confidence": confidence,
        "calls_made": found.made,
        "ways": [_row(each, found, each.way in best) for each in found.measured],
        "chosen": found.choice.chosen.way.name,
        "cost_usd": found.choice.chosen.cost_usd,
        "settings": dict(fields),
        "notes": list(found.notes),
    }


def _row(each: Measured, found: Found, best: bool) -> dict[str, Any]:
    return {
        "way": each.way.name,
        "calls": each.calls,
        "input_tokens": each.input_tokens,
        "cached_tokens": each.cached_tokens,
        "output_tokens": each.output_tokens,
        "cost_usd": each.cost_usd,
        "agreement": {
            task: {"rate": rate.value, "n": rate.n, "low": rate.low(0.025), "high": rate.high(0.025)}
            for task, rate in each.agreement.items()
        },
        "lower_bound": None if each.way == SINGLE else each.low(found.choice.error),
        "passed": each.way in found.choice.passed,
        "on_frontier": best,
        "flip_rate": each.flips.value if each.flips else None,
        "seconds": each.seconds,
    }

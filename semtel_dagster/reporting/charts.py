"""Charts as Vega-Lite specifications, made with Altair, and as SVG or PNG. Which figures go in is said elsewhere."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from semtel_dagster.reporting.palette import colour_of
from semtel_dagster.reporting.shares import ShareRow, TaskShares

if TYPE_CHECKING:
    import altair as alt

Spec: TypeAlias = dict[str, Any]

MOST_LINES = 7
FEW_BARS = 9
MOST_BARS_IN_PNG = 12
MOST_BYTES = 60_000
VOLUME_COLOURS = {
    "asked about": "#4c86c6",
    "share a duplicate's answer": "#8fb4dd",
    "not sampled": "#b3bdc9",
    "rejected": "#cf5f58",
}
_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif"
_PERCENT = ".0%"
_ALERT = "#d9632b"  # readable on light and on dark ground
LIGHT, DARK = ("#4a5260", "#dfe3e9"), ("#b9c1cc", "#343b46")  # ink and lines


def share_chart(shares: TaskShares) -> Spec:
    """This week's shares as bars with their intervals, a tick for last week and the change in words."""
    import altair as alt

    values = [_bar(shares, row) for row in shares.rows]
    order = [row.label for row in shares.rows]
    base = alt.Chart(alt.InlineData(values=values)).encode(
        y=alt.Y("label:N", sort=order, title=None, axis=alt.Axis(labelLimit=150, ticks=False, domain=False)),
        tooltip=_tooltip(["label", "share", "interval", "conversations", "last week", "change"]),
    )
    room = alt.Scale(domain=[0, 1.32 * max((value["edge"] for value in values), default=1.0)], nice=False)
    x = alt.X("share:Q", title=None, axis=alt.Axis(format=_PERCENT, tickCount=4), scale=room)
    bars = base.mark_bar(cornerRadiusEnd=3, height={"band": 0.64}).encode(x=x, color=alt.Color("colour:N", scale=None))
    intervals = base.mark_rule(strokeWidth=1.5).encode(x="low:Q", x2="high:Q")
    before = base.mark_tick(thickness=2.5, height=17).encode(x="before:Q")
    words = base.encode(x="edge:Q", text="words:N")
    plain = words.transform_filter("!datum.significant").mark_text(align="left", dx=8)
    strong = words.transform_filter("datum.significant").mark_text(align="left", dx=8, color=_ALERT, fontWeight="bold")
    step = 32 if len(values) <= FEW_BARS else 25
    chart = (bars + intervals + before + plain + strong).properties(width="container", height={"step": step})
    return _spec(chart, f"Shares of {shares.task.name}")


def trend_chart(shares: TaskShares) -> Spec:
    """The largest labels over the weeks, with their intervals as bands; pooled rows are left out."""
    import altair as alt

    chosen = _leading(shares)
    rows = {(row.week, row.label): row for row in shares.trend if row.low is not None}
    weeks = sorted({row.week for row in shares.trend})
    values = [
        _point(rows[week, label])
        if (week, label) in rows
        else {"week": week.isoformat(), "label": label, "share": None}
        for week in weeks
        for label in chosen
    ]
    base = alt.Chart(alt.InlineData(values=values)).encode(
        x=alt.X(
            "week:T",
            title=None,
            scale=alt.Scale(type="utc"),
            axis=alt.Axis(format="%-d %b", values=_dates(weeks), grid=False, labelOverlap=True),
        ),
        color=alt.Color(
            "label:N",
            scale=alt.Scale(domain=chosen, range=[colour_of(shares.task, label) for label in chosen]),
            legend=alt.Legend(
                title=None,
                orient="bottom",
                direction="horizontal",
                columns=2,
                labelLimit=150,
                symbolType="circle",
                symbolOpacity=1,
            ),
        ),
    )
    y = alt.Y("share:Q", title=None, axis=alt.Axis(format=_PERCENT, tickCount=5), scale=alt.Scale(domainMin=0))
    bands = base.mark_area(opacity=0.14 if len(chosen) <= 3 else 0.08).encode(y=alt.Y("low:Q", title=None), y2="high:Q")
    lines = base.mark_line(strokeWidth=2).encode(y=y)
    points = base.mark_circle(size=46, opacity=1).encode(
        y=y, tooltip=_tooltip(["label", "week of", "share", "interval", "conversations"])
    )
    height = 225 if len(shares.rows) <= FEW_BARS else 400
    return _spec(
        (bands + lines + points).properties(width="container", height=height), f"{shares.task.name} over weeks"
    )


def volume_chart(weeks: Sequence[Mapping[str, Any]]) -> Spec:
    """Conversations per week, stacked by what became of them.

    Args:
        weeks: One mapping per week and part: week (a date), part (a key of `VOLUME_COLOURS`), n.
    """
    import altair as alt

    parts = [part for part in VOLUME_COLOURS if any(row["n"] for row in weeks if row["part"] == part)]
    values = [
        {"week of": f"{row['week']:%-d %b}", "part": row["part"], "n": row["n"], "place": parts.index(row["part"])}
        for row in weeks
        if row["part"] in parts
    ]
    chart = (
        alt.Chart(alt.InlineData(values=values))
        .mark_bar()
        .encode(
            x=alt.X("week of:O", sort=None, title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True, ticks=False)),
            y=alt.Y("n:Q", title=None, axis=alt.Axis(tickCount=4, format="~s")),
            color=alt.Color(
                "part:N",
                scale=alt.Scale(domain=parts, range=[VOLUME_COLOURS[part] for part in parts]),
                legend=alt.Legend(title=None, orient="bottom", columns=2, labelLimit=170),
            ),
            order="place:O",
            tooltip=_tooltip(["week of", "part", "n"]),
        )
        .properties(width="container", height=210)
    )
    return _spec(chart, "Conversations per week")


def to_svg(spec: Spec, width: int) -> str:
    """A chart as SVG text, for readers without scripts and for print."""
    import vl_convert

    fixed = {**spec, "width": width, "config": config(*LIGHT)}
    return str(vl_convert.vegalite_to_svg(fixed))


def share_chart_png(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """A small picture of a partition's label shares, for Dagster's metadata.

    Args:
        rows: Rows of `tables.LABEL_SHARES`; only those of segment "all" are drawn, the largest of each task.

    Returns:
        A PNG image of less than `MOST_BYTES`.
    """
    import altair as alt
    import vl_convert

    shown = [row for row in rows if row["segment"] == "all"]
    tasks = list(dict.fromkeys(row["task"] for row in shown))
    charts = [_small_bars(task, [row for row in shown if row["task"] == task]) for task in tasks]
    spec = alt.vconcat(*charts, spacing=14).to_dict(validate=False) | {"config": config(*LIGHT)}
    spec["background"] = "#ffffff"
    images = (bytes(vl_convert.vegalite_to_png(spec, scale=scale)) for scale in (1.25, 1.0, 0.75, 0.5))
    return next((image for image in images if len(image) < MOST_BYTES), b"")


def _small_bars(task: str, rows: list[Mapping[str, Any]]) -> alt.LayerChart:
    import altair as alt

    largest = sorted(rows, key=lambda row: (-row["share"], row["label"]))[:MOST_BARS_IN_PNG]
    values = [
        {
            "label": row["label"],
            "share": row["share"],
            "low": row["low"],
            "high": row["high"],
            "text": f"{row['share']:.1%}",
        }
        for row in largest
    ]
    base = alt.Chart(alt.InlineData(values=values), title=alt.Title(task, fontSize=11, anchor="start")).encode(
        y=alt.Y(
            "label:N", sort=[row["label"] for row in values], title=None, axis=alt.Axis(labelLimit=140, ticks=False)
        )
    )
    x = alt.X("share:Q", title=None, axis=alt.Axis(format=_PERCENT, tickCount=3))
    bars = base.mark_bar(color="#4c86c6", height={"band": 0.7}).encode(x=x)
    intervals = base.mark_rule(strokeWidth=1.2, color="#3d4451").encode(x="low:Q", x2="high:Q")
    text = base.mark_text(align="left", dx=4, fontSize=10).encode(x="high:Q", text="text:N")
    chart: alt.LayerChart = (bars + intervals + text).properties(width=250, height={"step": 16})
    return chart


def _bar(shares: TaskShares, row: ShareRow) -> dict[str, Any]:
    change = shares.changes.get(row.label)
    before = shares.before.get(row.label)
    return {
        **_point(row),
        "colour": colour_of(shares.task, row.label),
        "before": before.share if before and change else None,
        "last week": f"{before.share:.1%}" if before else "not published",
        "change": _change_in_words(change),
        "words": f"{row.share:.1%}"
        + (f"  {_arrow(change.difference)} {abs(change.difference) * 100:.1f}" if change else ""),
        "significant": bool(change and change.significant),
        "edge": max(row.high or row.share, before.share if before and change else 0.0),
    }


def _point(row: ShareRow) -> dict[str, Any]:
    return {
        "label": row.label,
        "week": row.week.isoformat(),
        "week of": f"{row.week:%-d %b %Y}",
        "share": row.share,
        "low": row.low,
        "high": row.high,
        "interval": f"{row.low:.1%} to {row.high:.1%}" if row.low is not None and row.high is not None else "none",
        "conversations": row.n,
    }


def _change_in_words(change: Any) -> str:
    if change is None:
        return "not comparable"
    points = f"{change.difference * 100:+.1f} points ({change.low * 100:+.1f} to {change.high * 100:+.1f})"
    return points + (", significant" if change.significant else ", within noise")


def _arrow(difference: float) -> str:
    return "▲" if difference > 0 else "▼" if difference < 0 else "="


def _leading(shares: TaskShares) -> list[str]:
    """The labels of the trend chart: all of a few, the largest of many."""
    published = [row for row in shares.rows if not row.suppressed and not row.label.startswith("(")]
    largest = sorted(published, key=lambda row: -row.share)[:MOST_LINES]
    return [row.label for row in published if row in largest]


def _dates(weeks: Iterable[dt.date]) -> list[dict[str, int]]:
    return [{"year": week.year, "month": week.month, "date": week.day} for week in weeks]


def _tooltip(fields: list[str]) -> list[Any]:
    import altair as alt

    percent = {"share"}
    return [
        alt.Tooltip(field=name, type="quantitative", format=".1%")
        if name in percent
        else alt.Tooltip(field=name, type="nominal")
        for name in fields
    ]


def _spec(chart: alt.LayerChart | alt.Chart, description: str) -> Spec:
    spec: Spec = chart.properties(description=description).to_dict(validate=False)
    spec.pop("$schema", None)
    spec.pop("config", None)
    return spec


def config(ink: str, line: str) -> Spec:
    """Fonts and colours that are the same in all charts, on a transparent ground."""
    axis = {"labelColor": ink, "gridColor": line, "domainColor": line, "tickColor": line, "labelFontSize": 11}
    return {
        "background": "transparent",
        "font": _FONT,
        "view": {"stroke": None},
        "axis": axis,
        "legend": {"labelColor": ink, "labelFontSize": 11},
        "text": {"color": ink},
        "rule": {"color": ink},
        "tick": {"color": ink},
        "title": {"color": ink},
    }

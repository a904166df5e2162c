"""The charts of an evaluation's page, as Vega-Lite specifications made with Altair. Style is the weekly report's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from semtel_dagster.evaluation.agreement import Estimate
from semtel_dagster.evaluation.records import Evaluation, TaskResult
from semtel_dagster.reporting.charts import Spec

BLUE, ORANGE, GREY = "#4c86c6", "#d9632b", "#9299a1"
_PERCENT = ".0%"


def agreement_chart(rows: Sequence[tuple[str, TaskResult]]) -> Spec:
    """Accuracy, macro F1 and kappa with their intervals, a tick for the majority's accuracy.

    Args:
        rows: (model, result with an agreement).
    """
    import altair as alt

    values = []
    for model, result in rows:
        if result.agreement is None:
            continue
        for name, estimate in (
            ("accuracy", result.agreement.accuracy),
            ("macro F1", result.agreement.macro_f1),
            ("kappa", result.agreement.kappa),
        ):
            row: dict[str, Any] = {"figure": f"{name}, {model}" if len(rows) > 1 else name, **_ends(estimate)}
            values.append(row | {"majority": result.agreement.majority if name == "accuracy" else None})
    base = alt.Chart(alt.InlineData(values=values)).encode(
        y=alt.Y("figure:N", sort=None, title=None, axis=alt.Axis(labelLimit=190, ticks=False, domain=False)),
        tooltip=_tooltip(["figure", "value", "low", "high", "majority"]),
    )
    x = alt.X("value:Q", title=None, scale=alt.Scale(domainMax=1), axis=alt.Axis(tickCount=5))
    points = base.mark_circle(size=90, color=BLUE, opacity=1).encode(x=x)
    lines = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q")
    ticks = base.mark_tick(thickness=3, height=18, color=ORANGE).encode(x="majority:Q")
    return _spec(lines + points + ticks, "Agreement with gold", step=28)


def bias_chart(result: TaskResult) -> Spec:
    """Per label, the share of answers minus the share of gold, with its interval."""
    import altair as alt

    labels = result.agreement.labels if result.agreement else ()
    values = [{"label": label.label, **_ends(label.bias)} for label in labels]
    base = alt.Chart(alt.InlineData(values=values)).encode(
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=170, ticks=False, domain=False)),
        tooltip=_tooltip(["label", "value", "low", "high"]),
    )
    x = alt.X("value:Q", title=None, axis=alt.Axis(format="+.0%", tickCount=5))
    bars = base.mark_bar(height={"band": 0.6}, color=BLUE).encode(x=x)
    return _spec(bars + base.mark_rule(strokeWidth=1.5).encode(x="low:Q", x2="high:Q"), "Bias by label", step=22)


def drift_chart(result: TaskResult) -> Spec:
    """Per label, how far its share moved from the baseline's on the same conversations."""
    import altair as alt

    moved = result.drift.moved if result.drift else {}
    values = [{"label": label, "value": value} for label, value in moved.items() if value or label in result.labels]
    base = alt.Chart(alt.InlineData(values=values)).encode(
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=170, ticks=False, domain=False)),
        x=alt.X("value:Q", title=None, axis=alt.Axis(format="+.0%", tickCount=5)),
        color=alt.condition("datum.value < 0", alt.value(ORANGE), alt.value(BLUE)),
        tooltip=_tooltip(["label", "value"]),
    )
    return _spec(base.mark_bar(height={"band": 0.6}), "Shares against the baseline", step=22)


def trend_chart(task: str, history: Sequence[Evaluation]) -> Spec:
    """Accuracy over all kept evaluations of a task, a point each, coloured by prompt."""
    import altair as alt

    values = [
        {"made": each.made_at.isoformat(), "prompt": each.fingerprint[:8], "model": each.model, "verdict": each.verdict}
        | _ends(result.agreement.accuracy)
        for each in history
        for result in each.tasks
        if result.task == task and result.agreement is not None
    ]
    base = alt.Chart(alt.InlineData(values=values)).encode(
        x=alt.X("made:T", title=None, axis=alt.Axis(grid=False, labelOverlap=True, tickCount=5)),
        color=alt.Color("prompt:N", legend=alt.Legend(title="prompt", orient="bottom")),
        tooltip=_tooltip(["made", "prompt", "model", "verdict", "value", "low", "high"]),
    )
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(format=_PERCENT, tickCount=4))
    points = base.mark_point(filled=True, size=80, opacity=1).encode(y=y, shape=alt.Shape("model:N", legend=None))
    return _spec(base.mark_rule().encode(y="low:Q", y2="high:Q") + points, f"{task} over evaluations", height=190)


def _ends(estimate: Estimate) -> dict[str, float | None]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _tooltip(fields: Sequence[str]) -> list[Any]:
    import altair as alt

    words = {"figure", "label", "made", "prompt", "model", "verdict"}
    return [
        alt.Tooltip(field=name, type="nominal")
        if name in words
        else alt.Tooltip(field=name, type="quantitative", format=".3f")
        for name in fields
    ]


def _spec(chart: Any, description: str, step: int | None = None, height: int | None = None) -> Spec:
    sized = chart.properties(width="container", height={"step": step} if step else height, description=description)
    spec: Spec = sized.to_dict(validate=False)
    spec.pop("$schema", None)
    spec.pop("config", None)
    return spec

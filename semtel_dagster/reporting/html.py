"""A report as one HTML page that needs nothing else. Layout is in `templates/`, numbers as text in `wording.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from semtel_dagster.reporting import wording
from semtel_dagster.reporting.accounting import ClassifierAccounting, WeekAccounting
from semtel_dagster.reporting.charts import (
    DARK,
    LIGHT,
    MOST_LINES,
    Spec,
    config,
    share_chart,
    to_svg,
    trend_chart,
    volume_chart,
)
from semtel_dagster.reporting.palette import colour_of
from semtel_dagster.reporting.report import Report
from semtel_dagster.reporting.shares import TaskShares

TEMPLATE = "weekly.html.j2"
_SVG_WIDTH = 520
_GLOBALS = "window.vegaEmbed = vegaEmbed;"


def render_html(report: Report) -> str:
    """The page: charts, tables, style and scripts in one file; it loads nothing from anywhere."""
    return _template().render(
        report=report,
        charts={name: {"spec": spec, "svg": to_svg(spec, _SVG_WIDTH)} for name, spec in _charts(report)},
        configs={"light": config(*LIGHT), "dark": config(*DARK)},
        bundle=script_bundle(),
        totals=_totals(report),
        embedded=sorted({row.model for row in report.answerers if row.embedded}),
        significant=_significant(report),
        compared=sum(len(shares.changes) for shares in _tasks(report)),
        funnel=list(_funnel(report.accounting, report.before)),
        confidence=report.thresholds.confidence,
        most_lines=MOST_LINES,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("semtel_dagster.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= wording.FILTERS
    environment.filters["colour"] = colour_of
    environment.filters["suppressed"] = lambda tasks: wording.number(
        max((each.suppressed for each in tasks), default=0)
    )
    return environment.get_template(TEMPLATE)


@cache
def script_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    import vl_convert

    return str(vl_convert.javascript_bundle(_GLOBALS)).replace("</script", "<\\/script")


def _tasks(report: Report) -> list[TaskShares]:
    return [shares for classifier in report.classifiers for shares in classifier.tasks]


def _charts(report: Report) -> Iterator[tuple[str, Spec]]:
    for outer, classifier in enumerate(report.classifiers, start=1):
        for inner, shares in enumerate(classifier.tasks, start=1):
            if shares.rows:
                yield f"chart-{outer}-{inner}-now", share_chart(shares)
                yield f"chart-{outer}-{inner}-weeks", trend_chart(shares)
    yield "chart-volume", volume_chart([part for week in report.history for part in _parts(week)])


def _parts(week: WeekAccounting) -> list[dict[str, Any]]:
    """A week's source rows, split by what became of them."""
    sampled, distinct = week.sampled or 0, week.distinct or 0
    duplicates = week.exact_duplicates + week.near_duplicates
    parts = {
        "asked about": distinct or sampled - duplicates,
        "share a duplicate's answer": duplicates,
        "not sampled": max((week.conversations or 0) - sampled, 0),
        "rejected": sum(week.rejected.values()),
    }
    return [{"week": week.week, "part": part, "n": n} for part, n in parts.items()]


def _totals(report: Report) -> ClassifierAccounting:
    """All classifiers together."""
    rows = [classifier.accounting for classifier in report.classifiers]
    names = [each.name for each in fields(ClassifierAccounting) if each.type in ("int", "float")]
    return ClassifierAccounting(report.week, "all", **{name: sum(getattr(row, name) for row in rows) for name in names})


def _significant(report: Report) -> list[dict[str, Any]]:
    """The changes that stand after correction, the largest first."""
    rows = [
        {"task": shares.task.name, "label": row.label, "share": row.share, "change": shares.changes[row.label]}
        for shares in _tasks(report)
        for row in shares.rows
        if row.label in shares.changes and shares.changes[row.label].significant
    ]
    return sorted(rows, key=lambda row: -abs(row["change"].difference))


def _funnel(now: WeekAccounting, before: WeekAccounting | None) -> Iterator[tuple[str, str, str]]:
    """Name, this week and last week of each count, in the order of the stages."""
    weeks = (now, before or WeekAccounting(now.week))
    for name, field in wording.COUNTS.items():
        first, second = (wording.number(getattr(week, field)) for week in weeks)
        yield name, first, second
        if field == "truncated":
            shares = [wording.share_of(week.truncated, week.sampled) for week in weeks]
            tokens = [wording.short(week.tokens) for week in weeks]
            yield "share cut", shares[0], shares[1]
            yield "tokens kept", tokens[0], tokens[1]

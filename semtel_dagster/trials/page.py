"""An evaluation as one HTML page that needs nothing else: verdicts, figures, plots, trends over prompt versions.

Style, scripts and number formats are the weekly report's; what is drawn is in `charts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template

from semtel_dagster.evaluation.records import Evaluation, TaskResult, folder_of, write_whole
from semtel_dagster.reporting import wording
from semtel_dagster.reporting.charts import DARK, LIGHT, Spec, config, to_svg
from semtel_dagster.reporting.html import script_bundle
from semtel_dagster.trials.charts import agreement_chart, bias_chart, drift_chart, trend_chart

TEMPLATE = "evaluation.html.j2"
_SVG_WIDTH = 520
_FEWEST_IN_TREND = 2


def write_page(storage: str, evaluations: Sequence[Evaluation], history: Mapping[str, Sequence[Evaluation]]) -> Path:
    """Writes the page beside the evaluations, whole or not at all.

    Args:
        storage: Root of the dataset layout.
        evaluations: What was just measured; at least one.
        history: All kept evaluations, the oldest first, by classifier.
    """
    last = max(each.made_at for each in evaluations)
    path = folder_of(storage).absolute() / f"evaluation-{last:%Y%m%dT%H%M%S}.html"
    write_whole(path, render_page(evaluations, history).encode())
    return path


def render_page(evaluations: Sequence[Evaluation], history: Mapping[str, Sequence[Evaluation]]) -> str:
    """The page's text; it loads nothing from anywhere."""
    charts = {name: {"spec": spec, "svg": to_svg(spec, _SVG_WIDTH)} for name, spec in _charts(evaluations, history)}
    return _template().render(
        evaluations=list(enumerate(evaluations, start=1)),
        charts=charts,
        configs={"light": config(*LIGHT), "dark": config(*DARK)},
        bundle=script_bundle(),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("semtel_dagster.trials"), PackageLoader("semtel_dagster.reporting")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= wording.FILTERS
    environment.filters["estimate"] = _estimate
    return environment.get_template(TEMPLATE)


def _charts(
    evaluations: Sequence[Evaluation], history: Mapping[str, Sequence[Evaluation]]
) -> Iterator[tuple[str, Spec]]:
    for outer, each in enumerate(evaluations, start=1):
        for inner, task in enumerate(each.tasks, start=1):
            yield from _task_charts(f"chart-{outer}-{inner}", each, task, history.get(each.classifier, ()))


def _task_charts(
    name: str, each: Evaluation, task: TaskResult, history: Sequence[Evaluation]
) -> Iterator[tuple[str, Spec]]:
    if task.agreement is not None:
        yield f"{name}-agreement", agreement_chart([(each.model, task)])
        yield f"{name}-bias", bias_chart(task)
    if task.drift is not None and task.drift.total_variation:
        yield f"{name}-drift", drift_chart(task)
    measured = [old for old in history if any(r.task == task.task and r.agreement for r in old.tasks)]
    if len(measured) >= _FEWEST_IN_TREND:
        yield f"{name}-trend", trend_chart(task.task, measured)


def _estimate(estimate: object) -> str:
    """A figure with its interval: 0.71 (0.66 to 0.75)."""
    value, low, high = (getattr(estimate, name) for name in ("value", "low", "high"))
    if value is None or low is None:
        return wording.decimal(value)
    return f"{wording.decimal(value)} ({wording.decimal(low)} to {wording.decimal(high)})"

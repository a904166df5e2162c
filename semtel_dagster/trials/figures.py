"""An evaluation as plain figures and words, for Dagster's plots and whoever else draws over time.

The full record is in `evaluation.records`, the page in `page`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from semtel_dagster.classifiers import Task
from semtel_dagster.evaluation.agreement import Estimate
from semtel_dagster.evaluation.annotators import alpha
from semtel_dagster.evaluation.golden import GoldenSet
from semtel_dagster.evaluation.records import Evaluation, TaskResult

Figures = dict[str, float]


def figures_of(evaluations: Sequence[Evaluation]) -> Figures:
    """What can be drawn over evaluations of one classifier: `accuracy`, or `accuracy, <task>, <model>` for several.

    Args:
        evaluations: One per model.
    """
    found: Figures = {}
    for each in evaluations:
        model = each.model if len(evaluations) > 1 else ""
        for result in each.tasks:
            task = result.task if len(each.tasks) > 1 else ""
            found |= {_named(name, task, model): value for name, value in _task_figures(result)}
        found |= {_named(name, "", model): value for name, value in _usage_figures(each)}
    return found


def words_of(evaluations: Sequence[Evaluation]) -> dict[str, str]:
    """What tells evaluations apart: verdict, fingerprints, baseline, by the same names."""
    found: dict[str, str] = {}
    for each in evaluations:
        model = each.model if len(evaluations) > 1 else ""
        words = {
            "verdict": each.verdict,
            "because": " ".join(each.reasons),
            "evaluation": each.id,
            "baseline": each.baseline or "none",
            "answered_by": each.answered_by,
            "prompt_fingerprint": each.fingerprint,
            "parser_fingerprint": each.parser_fingerprint,
        }
        found |= {_named(name, "", model): word for name, word in words.items()}
    return found


def gold_figures(golden: GoldenSet, tasks: Sequence[Task]) -> Figures:
    """How many cases people labelled, how many people there are, and how far they agree."""
    found: Figures = {}
    for task in tasks:
        ratings = golden.ratings(task.name)
        shared = {case: said for case, said in ratings.items() if len(said) > 1}
        name = task.name if len(tasks) > 1 else ""
        found[_named("cases", name, "")] = len(ratings)
        found[_named("annotators", name, "")] = len({who for said in ratings.values() for who in said})
        found[_named("cases_with_several_annotators", name, "")] = len(shared)
        agreed = (
            alpha(shared, [label.name for label in task.labels], ordinal=task.ordinal) if shared else Estimate(None)
        )
        if agreed.value is not None:
            found[_named("annotators_alpha", name, "")] = agreed.value
    return found


def _task_figures(result: TaskResult) -> Iterator[tuple[str, float]]:
    yield "golden_cases", result.n_gold
    if result.agreement is not None:
        for name in ("accuracy", "macro_f1", "kappa"):
            estimate: Estimate = getattr(result.agreement, name)
            if estimate.value is not None:
                yield name, estimate.value
        yield "majority_accuracy", result.agreement.majority
    if result.drift is not None:
        yield "distance_from_baseline", result.drift.total_variation
        if result.drift.flips is not None:
            yield "flips_from_baseline", result.drift.flips
    if result.stability is not None and result.stability.flip_rate.value is not None:
        yield "flip_rate", result.stability.flip_rate.value
    asked = sum(result.statuses.values())
    if asked:
        yield "without_label", sum(result.statuses.get(status, 0) for status in ("invalid", "unanswered")) / asked


def _usage_figures(evaluation: Evaluation) -> Iterator[tuple[str, float]]:
    usage = evaluation.usage
    yield "sample", evaluation.n_sample
    yield "calls", usage.calls
    yield "cost_usd", usage.cost_usd
    if usage.usd_per_thousand is not None:
        yield "usd_per_thousand", usage.usd_per_thousand
    if usage.latency_median_s is not None:
        yield "latency_median_s", usage.latency_median_s


def _named(figure: str, task: str, model: str) -> str:
    return ", ".join(part for part in (figure, task, model) if part)

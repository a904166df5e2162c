"""A plan in words and small tables: what changed, where, and what catching up takes.

Names, fingerprints and numbers only. Terminal tables of the command line belong in `reporting/console`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from semtel_dagster.planning.history import History
from semtel_dagster.planning.plan import Plan, PlannedPartition
from semtel_dagster.planning.project import Project
from semtel_dagster.planning.staleness import MISSING, MODEL, NEW_DATA, PARSER, PROMPT, UNANSWERED
from semtel_dagster.prompts.archive import recall
from semtel_dagster.prompts.changes import changes

_REASONS = {
    MISSING: "not labelled yet",
    NEW_DATA: "conversations came later, or are sampled, cut or grouped otherwise now",
    PARSER: "answers are read otherwise now (aliases or the parser changed); no call",
    UNANSWERED: "some conversations have no answer",
}


def in_words(project: Project, history: History, plan: Plan) -> str:
    """Markdown: per classifier what changed and in which weeks, then the price of catching up and the command."""
    if not plan.partitions:
        return "Every labelled week is what the prompts, models and parsers of now would give."
    lines = []
    for classifier in sorted({each.classifier for each in plan.partitions}):
        mine = [each for each in plan.partitions if each.classifier == classifier]
        for reason in dict.fromkeys(each.reason for each in mine):
            partitions = [each for each in mine if each.reason == reason]
            lines += [f"**{classifier}**, {_span(partitions)}: {_title(reason)}"]
            lines += [f"- {change}" for change in _changes(project, history, classifier, reason, partitions)]
            lines.append("")
    return "\n".join([*lines, f"To catch up: {price_in_words(plan)}. Run `semtel backfill`."])


def price_in_words(plan: Plan) -> str:
    """Calls, tokens, cost and time in one line."""
    total = plan.total
    words = f"{_count(len(plan.partitions), 'partition')}, {'at most ' if plan.upper_bound else ''}"
    words += _count(total["calls"], "call")
    if plan.second_calls:
        words += f" and about {_count(plan.second_calls, 'second question')} about answers without a label"
    words += f", {_count(total['input_tokens'], 'input token')}"
    words += f", ${total['cost_usd']:,.2f}"
    return words + (f", about {_time(plan.seconds)}" if plan.seconds else "")


def table_of(partitions: Sequence[PlannedPartition]) -> str:
    """The partitions as a Markdown table."""
    lines = ["| week | classifier | reason | conversations | calls | cost |", "|---|---|---|---:|---:|---:|"]
    lines += [
        f"| {each.week} | {each.classifier} | {each.reason} | {each.conversations:,} | {each.calls:,} "
        f"| ${each.cost_usd:,.4f} |"
        for each in partitions
    ]
    return "\n".join(lines)


def _changes(
    project: Project, history: History, classifier: str, reason: str, partitions: Iterable[PlannedPartition]
) -> list[str]:
    events = [history.of("responses", each.week, classifier) or {} for each in partitions]
    if reason == MODEL:
        before = sorted({model for event in events for model in event.get("models") or ()} - project.models)
        return [f"answered by {', '.join(before)}; now {', '.join(sorted(project.models))}"]
    if reason != PROMPT:
        return []
    told: list[str] = []
    for fingerprint in dict.fromkeys(str(event.get("prompt_fingerprint")) for event in events):
        old = recall(project.settings.storage, classifier, fingerprint)
        said = changes(old, project.prompts[classifier]) if old else [f"the prompt was {fingerprint}; it was not kept"]
        told += [line for line in said if line not in told]
    return told


def _title(reason: str) -> str:
    return {PROMPT: "the prompt changed", MODEL: "the model changed"}.get(reason) or _REASONS[reason]


def _span(partitions: Sequence[PlannedPartition]) -> str:
    weeks = sorted(each.week for each in partitions)
    return f"week {weeks[0]}" if len(weeks) == 1 else f"{len(weeks)} weeks from {weeks[0]} to {weeks[-1]}"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}" + ("" if number == 1 else "s")


def _time(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{max(1, round(seconds))} s"

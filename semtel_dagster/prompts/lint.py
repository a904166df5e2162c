"""What is doubtful about a compiled prompt, in words; `semtel check` shows it.

Faults that stop a prompt from working are errors of the loader; these are the ones that make its labels worse.
"""

from __future__ import annotations

import unicodedata
from itertools import combinations

from semtel_dagster.classifiers import CompiledPrompt, Task
from semtel_dagster.prompts.loader import count_tokens, static_text

MAX_STATIC_TOKENS = 4000
MAX_REMINDER_TOKENS = 60
SHORT_DEFINITION = 20


def lint(prompt: CompiledPrompt) -> list[str]:
    """Findings about one prompt; empty when there is nothing to mend."""
    findings = [*_outputs(prompt), *_order(prompt), *_size(prompt)]
    for task in prompt.classifier.tasks:
        findings += [*_definitions(prompt, task), *_clashes(task)]
    return [f"{prompt.classifier.name}: {finding}" for finding in findings]


def _outputs(prompt: CompiledPrompt) -> list[str]:
    """The file's `outputs` are for other Prompty tools; they must say what the tasks say."""
    outputs = prompt.extra.get("outputs", {})
    fields = prompt.response_schema["properties"]
    findings = [f"outputs lacks the field {name!r}" for name in fields if name not in outputs]
    findings += [f"outputs has {name!r}, which is no task or score" for name in outputs if name not in fields]
    for name, field in fields.items():
        if "enum" in field and name in outputs and outputs[name] != field["enum"]:
            differing = set(outputs[name] or []) ^ set(field["enum"])
            shown = ", ".join(sorted(map(str, differing))) or "the order"
            findings.append(f"outputs.{name}.enumValues differs from the task's labels: {shown}")
    return findings


def _definitions(prompt: CompiledPrompt, task: Task) -> list[str]:
    text = static_text(prompt.messages)
    findings = [
        f"label {label.name!r} of {task.name!r} has a definition of under {SHORT_DEFINITION} characters"
        for label in task.labels
        if len(label.definition) < SHORT_DEFINITION
    ]
    for label in task.labels:
        if label.name not in text or label.definition not in text:
            findings.append(f"the template never shows label {label.name!r} of {task.name!r} with its definition")
    if task.name not in text:
        findings.append(f"the template never names the answer field {task.name!r}")
    if task.score and task.score.field not in text:
        findings.append(f"the template never names the score field {task.score.field!r}")
    for first, second in combinations(task.labels, 2):
        if first.definition == second.definition:
            findings.append(f"labels {first.name!r} and {second.name!r} of {task.name!r} have the same definition")
    return findings


def _clashes(task: Task) -> list[str]:
    """A spelling that two labels claim is nobody's: parsing refuses it."""
    owners: dict[str, list[str]] = {}
    for label in task.labels:
        for spelling in {_plain(name) for name in (label.name, *label.aliases)}:
            owners.setdefault(spelling, []).append(label.name)
    return [
        f"the spelling {spelling!r} of {task.name!r} belongs to {' and '.join(map(repr, labels))}"
        for spelling, labels in sorted(owners.items())
        if len(labels) > 1
    ]


def _order(prompt: CompiledPrompt) -> list[str]:
    """Providers cache a prompt's common beginning, so all that never changes comes before the transcript."""
    place = next(i for i, message in enumerate(prompt.messages) if message.after is not None)
    late = count_tokens(prompt.messages[place].after or "")
    late += sum(count_tokens(message.before) for message in prompt.messages[place + 1 :])
    if late > MAX_REMINDER_TOKENS:
        return [f"{late} tokens follow the transcript; move what never changes before it, so that it is cached"]
    return []


def _size(prompt: CompiledPrompt) -> list[str]:
    if prompt.static_tokens > MAX_STATIC_TOKENS:
        return [
            f"the prompt takes {prompt.static_tokens} tokens without the transcript; over {MAX_STATIC_TOKENS} is a lot"
        ]
    return []


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())

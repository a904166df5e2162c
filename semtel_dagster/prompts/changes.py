"""What changed between two versions of a prompt, in words that its author understands at a glance.

Belongs here: comparing labels, questions, messages, schema and options. Where old versions lie belongs in `archive`;
models belong to endpoints, so a change of model is told elsewhere.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from semtel_dagster.classifiers import CompiledPrompt, Label, PromptMessage, Task
from semtel_dagster.prompts.fingerprint import fingerprint

MOST_LINES = 6
MOST_CHARACTERS = 160


def changes(old: CompiledPrompt, new: CompiledPrompt) -> list[str]:
    """One line per change that can change an answer; empty when the fingerprints agree.

    Lines of the template that labels and questions account for are not told twice.
    """
    if old.fingerprint == new.fingerprint:
        return []
    told = [*_tasks(old, new), *_options(old, new)]
    if not told or _messages_without_tasks(old) != _messages_without_tasks(new):
        told += _messages(old, new)
    if old.response_schema != new.response_schema and not told:
        told.append("the schema of the answer changed")
    return told or ["the order of the answer's fields changed"]


def _tasks(old: CompiledPrompt, new: CompiledPrompt) -> Iterator[str]:
    before, after = ({task.name: task for task in prompt.classifier.tasks} for prompt in (old, new))
    for name in before.keys() - after.keys():
        yield f"task {name} was removed"
    for name in after.keys() - before.keys():
        yield f"task {name} was added"
    for name, task in after.items():
        if name in before:
            yield from _task(before[name], task)


def _task(old: Task, new: Task) -> Iterator[str]:
    if old.question != new.question:
        yield f"task {new.name}: the question changed: {_from_to(old.question, new.question)}"
    if old.score != new.score:
        yield f"task {new.name}: the score's field or range changed"
    before, after = ({label.name: label for label in task.labels} for task in (old, new))
    for name in before.keys() - after.keys():
        yield f"label {name} of {new.name} was removed"
    for name in after.keys() - before.keys():
        yield f"label {name} of {new.name} was added: {_short(after[name].definition)}"
    for name, label in after.items():
        if name in before:
            yield from _label(new.name, before[name], label)
    if list(before) != list(after) and before.keys() == after.keys():
        yield f"the labels of {new.name} stand in another order"


def _label(task: str, old: Label, new: Label) -> Iterator[str]:
    if old.definition != new.definition:
        yield f"label {new.name} of {task}: definition: {_from_to(old.definition, new.definition)}"
    if old.excludes != new.excludes:
        yield f"label {new.name} of {task}: what it is not: {_from_to(old.excludes, new.excludes)}"


def _options(old: CompiledPrompt, new: CompiledPrompt) -> Iterator[str]:
    for name in sorted(old.options.keys() | new.options.keys()):
        before, after = old.options.get(name, "unset"), new.options.get(name, "unset")
        if before != after:
            yield f"option {name}: {before} became {after}"


def _messages(old: CompiledPrompt, new: CompiledPrompt) -> Iterator[str]:
    if [message.role for message in old.messages] != [message.role for message in new.messages]:
        yield "the messages' roles changed: " + ", ".join(message.role for message in new.messages)
    before, after = (_lines(prompt.messages) for prompt in (old, new))
    differences = [line for line in difflib.unified_diff(before, after, n=0, lineterm="") if _is_change(line)]
    if differences:
        shown = "; ".join(f"{'removed' if line[0] == '-' else 'added'} {_short(line[1:])!r}" for line in
                          differences[:MOST_LINES])  # fmt: skip
        more = f"; and {len(differences) - MOST_LINES} more lines" if len(differences) > MOST_LINES else ""
        yield f"messages: {shown}{more}"


def _messages_without_tasks(prompt: CompiledPrompt) -> str:
    """The messages' texts with what labels and questions say taken out, to see whether anything else changed."""
    parts = [
        text
        for task in prompt.classifier.tasks
        for text in (task.question, *(part for label in task.labels for part in (label.definition, label.excludes)))
    ]
    left = "\n".join(_lines(prompt.messages))
    for part in sorted(parts, key=len, reverse=True):
        left = left.replace(part.strip(), "") if part.strip() else left
    return fingerprint([PromptMessage("", left)], {}, {})


def _lines(messages: tuple[PromptMessage, ...]) -> list[str]:
    return [line for message in messages for line in (message.before + (message.after or "")).splitlines()]


def _is_change(line: str) -> bool:
    return line[:1] in "+-" and not line.startswith(("+++", "---")) and bool(line[1:].strip())


def _from_to(old: str, new: str) -> str:
    """Both texts from shortly before the first word that differs."""
    before, after = old.split(), new.split()
    same = next(
        (at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    start = max(0, same - 3)
    lead = "... " if start else ""
    return f"{_short(lead + ' '.join(before[start:])) or '(nothing)'!r} became " \
           f"{_short(lead + ' '.join(after[start:])) or '(nothing)'!r}"  # fmt: skip


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 4] + " ..."

"""The questions of a classifier as one text, taken out of its own template.

Belongs here: which parts of a prompt ask, and which only say how to read and how to answer. Putting the questions of
several classifiers together belongs in `together`.
"""

from __future__ import annotations

import re

from semtel_dagster.classifiers import CompiledPrompt, Task

READING_AND_ANSWERING = ("how the conversation is shown", "how the transcript is shown", "answer")
"""Headings, in lower case, whose parts every combined prompt writes anew, once for all."""
_HEADING = re.compile(r"^# (.+)$", re.MULTILINE)


def questions_of(prompt: CompiledPrompt) -> str:
    """What a classifier asks, in the words of its file.

    Of the messages before the transcript every part under a heading `# ...` is kept as it is, but for those that say
    how the conversation is shown and how to answer. A template that has no part whose heading begins with "Question"
    gives its tasks' questions and labels in our own layout instead.
    """
    static = "\n".join(message.before for message in prompt.messages if message.after is None)
    parts = [(title, text) for title, text in _parts(static) if title.lower() not in READING_AND_ANSWERING]
    if not any(title.lower().startswith("question") for title, _ in parts):
        return "\n\n".join(_laid_out(task) for task in prompt.classifier.tasks)
    return "\n\n".join(text if title.lower().startswith("question") else f"## {title}\n{text}" for title, text in parts)


def _parts(text: str) -> list[tuple[str, str]]:
    """Headings of the first level with the text below each; what stands above the first one is left out."""
    headings = list(_HEADING.finditer(text))
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    return [
        (heading[1].strip(), text[heading.end() : end].strip())
        for heading, end in zip(headings, ends, strict=bool(headings))
    ]


def _laid_out(task: Task) -> str:
    lines = [f"## {task.name}", task.question, ""]
    if task.score:
        lines += [f"Give {task.score.field} as a number from {task.score.minimum:g} to {task.score.maximum:g}.", ""]
    lines.append("Labels, from the lowest to the highest:" if task.ordinal else "Labels:")
    for label in task.labels:
        lines.append(f"- {label.name}: {label.definition}" + (f" Not: {label.excludes}." if label.excludes else ""))
    return "\n".join(lines)

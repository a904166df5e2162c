"""From a model's raw answer to one label per task.

An answer as it was asked for takes a short path; any other is searched. Arrow batches belong in
`batches`, the values of one task in `task_reader`.
"""

from __future__ import annotations

import functools
from typing import Any

import orjson

from semtel_dagster.classifiers import Classifier
from semtel_dagster.labels import reasons, text_fields
from semtel_dagster.labels.json_fields import section
from semtel_dagster.labels.parsed import ParsedLabel
from semtel_dagster.labels.task_reader import TaskReader

__all__ = ["AnswerParser", "ParsedLabel", "parse_answer"]


def parse_answer(raw_text: str, classifier: Classifier) -> tuple[ParsedLabel, ...]:
    """Reads a model's raw answer.

    Args:
        raw_text: Anything a model may send.
        classifier: The tasks asked for.

    Returns:
        One value per task, in their order; a task that the answer lacks is invalid and leaves the others alone.
    """
    return _parser(classifier).parse(raw_text)


class AnswerParser:
    """Reads the answers of one classifier; built once, used for many."""

    def __init__(self, classifier: Classifier) -> None:
        self._tasks = tuple(TaskReader(task, classifier) for task in classifier.tasks)
        scores = sum(1 for task in classifier.tasks if task.score)
        self._quotes = 2 * (2 * len(self._tasks) + scores)

    def parse(self, raw_text: str) -> tuple[ParsedLabel, ...]:
        """One `ParsedLabel` per task; never raises, whatever the text."""
        return self._clean_answer(raw_text) or self._any_answer(raw_text)

    def _clean_answer(self, raw_text: str) -> tuple[ParsedLabel, ...] | None:
        """The answer as it was asked for, or None. The count of quotes tells a key that is written twice."""
        if raw_text.count('"') != self._quotes:
            return None
        try:
            answer = orjson.loads(raw_text)
        except orjson.JSONDecodeError:
            return None
        if type(answer) is not dict:
            return None
        labels = []
        for task in self._tasks:
            label = task.exactly(answer)
            if label is None:
                return None
            labels.append(label)
        return tuple(labels)

    def _any_answer(self, raw_text: str) -> tuple[ParsedLabel, ...]:
        whole = _json_value(raw_text)
        # Some servers send the JSON text as a JSON string.
        text = text_fields.spoken(whole if isinstance(whole, str) else raw_text)
        if not text:
            reason = reasons.CUT_OFF if raw_text.strip() else reasons.EMPTY
            return tuple(task.invalid(reason) for task in self._tasks)
        sections = [section(part) for part in (text_fields.final_part(text), text) if part]
        return tuple(task.read(sections, whole) for task in self._tasks)


def _json_value(raw_text: str) -> Any:
    try:
        return orjson.loads(raw_text)
    except orjson.JSONDecodeError:
        return None


@functools.lru_cache(maxsize=64)
def _parser(classifier: Classifier) -> AnswerParser:
    return AnswerParser(classifier)

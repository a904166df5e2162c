"""From a model's raw answer to one label per task.

An answer as it was asked for takes a short path, also with a remark or a wrapping; any other is searched, and the
search would read the former alike. Arrow batches belong in `batches`, the values of one task in `task_reader`.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import orjson

from semtel_dagster.classifiers import Classifier
from semtel_dagster.labels import reasons, text_fields
from semtel_dagster.labels.json_fields import section
from semtel_dagster.labels.nearness import Nearness
from semtel_dagster.labels.normalise import clean, compact
from semtel_dagster.labels.parsed import CLEANED, ParsedLabel
from semtel_dagster.labels.task_reader import TaskReader

__all__ = ["AnswerParser", "ParsedLabel", "parse_answer"]

REMARKS = frozenset({"reason", "reasoning", "rationale", "explanation", "justification", "evidence", "confidence"})
LONGEST_SIMPLE = 4_000


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

    def __init__(self, classifier: Classifier, nearness: Nearness | None = None) -> None:
        """Makes the parser; `nearness` finds labels by their meaning where nothing else does."""
        finders = [nearness.finder(task) if nearness else None for task in classifier.tasks]
        self._tasks = tuple(TaskReader(*pair, classifier) for pair in zip(classifier.tasks, finders, strict=True))
        scores = [task.score.field for task in classifier.tasks if task.score]
        self._quotes = 2 * (2 * len(self._tasks) + len(scores))
        self._keys = {*(task.name for task in classifier.tasks), *scores}
        self._remarks = REMARKS - {compact(key) for key in self._keys}

    def parse(self, raw_text: str) -> tuple[ParsedLabel, ...]:
        """One `ParsedLabel` per task; never raises, whatever the text."""
        answer = _json_value(raw_text)
        if type(answer) is dict:
            return self._clean_answer(answer, raw_text) or self._any_answer(raw_text, answer)
        return self._wrapped_answer(raw_text) or self._any_answer(raw_text, answer)

    def _clean_answer(self, answer: dict[str, Any], raw_text: str) -> tuple[ParsedLabel, ...] | None:
        """The answer as it was asked for, or None. The count of quotes tells a key that is written twice."""
        if raw_text.count('"') != self._quotes and not self._with_remark(answer, raw_text):
            return None
        labels = []
        for task in self._tasks:
            label = task.exactly(answer)
            if label is None:
                return None
            labels.append(label)
        return tuple(labels)

    def _with_remark(self, answer: dict[str, Any], raw_text: str) -> bool:
        """Whether there is nothing beside what was asked for but remarks, each written once."""
        remarks = [answer[key] for key in answer.keys() - self._keys]
        strings = sum(type(remark) is str for remark in remarks)
        return (
            answer.keys() <= self._keys | self._remarks
            and raw_text.count('"') == self._quotes + 2 * (len(remarks) + strings)
            and _is_simple(clean(raw_text))
        )

    def _wrapped_answer(self, raw_text: str) -> tuple[ParsedLabel, ...] | None:
        """The answer as it was asked for, between a fence's marks or words; or None."""
        if raw_text.count('"') != self._quotes:
            return None
        text = clean(raw_text)
        if not _is_simple(text):
            return None
        answer = _json_value(text[text.find("{") : text.rfind("}") + 1])
        labels = self._clean_answer(answer, raw_text) if type(answer) is dict else None
        return tuple(replace(label, status=CLEANED) for label in labels) if labels else None

    def _any_answer(self, raw_text: str, whole: Any) -> tuple[ParsedLabel, ...]:
        # Some servers send the JSON text as a JSON string.
        text = text_fields.spoken(whole if isinstance(whole, str) else raw_text)
        if not text:
            reason = reasons.CUT_OFF if raw_text.strip() else reasons.EMPTY
            return tuple(task.invalid(reason) for task in self._tasks)
        sections = [section(part) for part in (text_fields.final_part(text), text) if part]
        return tuple(task.read(sections, whole) for task in self._tasks)


def _is_simple(text: str) -> bool:
    """Whether a text holds at most one JSON object, and nothing that overrules it."""
    return (
        len(text) <= LONGEST_SIMPLE
        and text.count("{") == 1
        and "[" not in text
        and "<" not in text
        and text_fields.final_part(text) is None
    )


def _json_value(raw_text: str) -> Any:
    try:
        return orjson.loads(raw_text)
    except orjson.JSONDecodeError:
        return None


@functools.lru_cache(maxsize=64)
def _parser(classifier: Classifier) -> AnswerParser:
    return AnswerParser(classifier)

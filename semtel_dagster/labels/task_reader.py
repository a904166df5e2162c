"""Reading one task's label and score from an answer of any form.

One written form after another is tried, from the most explicit to the least; the first that says something decides,
and values that disagree decide nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from semtel_dagster.classifiers import Classifier, Task
from semtel_dagster.labels import reasons, text_fields
from semtel_dagster.labels.json_fields import Field, Section
from semtel_dagster.labels.keys import label_keys, score_keys
from semtel_dagster.labels.matching import LONGEST_SPELLING, Match, Matcher
from semtel_dagster.labels.nearness import Finder
from semtel_dagster.labels.normalise import compact, comparable
from semtel_dagster.labels.parsed import CLEANED, EXACT, INVALID, MATCHED, REPAIRED, ParsedLabel
from semtel_dagster.labels.scores import read_score

LONGEST_BARE = 400
_NOTHING_FOUND = (reasons.NO_LABEL, reasons.UNKNOWN_LABEL, reasons.NEGATED)
_INNER_KEYS = frozenset({"label", "value", "name", "answer", "category", "level", "class"})
_PLACEHOLDER = re.compile(r"(?:<[^<>]*>|\.\.\.|…|\{\{?[^{}]*\}?\})?")
_REFUSAL = re.compile(
    r"(?i)\b(?:sorry|apologi[sz]e|i (?:can(?:no|')?t|am unable|am not able|will not|won't)|unable to|as an ai|"
    r"es tut mir leid|lo siento|je suis désolée?|desculpe)|抱歉|对不起|申し訳|извините|عذر"
)


class TaskReader:
    """Finds and reads one task's values in a text."""

    def __init__(self, task: Task, finder: Finder | None, classifier: Classifier) -> None:
        self._task = task
        self._finder = finder
        self._matcher = Matcher(task)
        self._alone = len(classifier.tasks) == 1
        self._keys = label_keys(task, classifier)
        self._score_keys = score_keys(task, classifier)
        self._ready = {label.name: ParsedLabel(task.name, label.name, None, EXACT, None) for label in task.labels}

    def invalid(self, reason: str) -> ParsedLabel:
        """No label, for a reason."""
        return ParsedLabel(self._task.name, None, None, INVALID, reason)

    def exactly(self, answer: dict[str, Any]) -> ParsedLabel | None:
        """The task's clean label in a decoded answer, with a clean score where one is due."""
        label = answer.get(self._task.name)
        ready = self._ready.get(label) if type(label) is str else None
        if ready is None or self._task.score is None:
            return ready
        number = answer.get(self._task.score.field)
        if type(number) is int and self._task.score.minimum <= number <= self._task.score.maximum:
            return replace(ready, score=float(number))
        return None

    def read(self, sections: Sequence[Section], whole: Any) -> ParsedLabel:
        """The task's label in the first section that has one.

        Args:
            sections: The answer's final part if it has one, then all of it.
            whole: The answer as JSON, if it is JSON.
        """
        searched = [self._search(section) for section in sections]
        found = next((match for match in searched if match.label), searched[-1])
        if found.label is None:
            refused = found.how in _NOTHING_FOUND and _REFUSAL.search(sections[-1].rest[:400])
            meant = None if refused or found.how != reasons.UNKNOWN_LABEL else self._meant(sections)
            if meant is None:
                return self.invalid(reasons.REFUSAL if refused else found.how)
            return ParsedLabel(self._task.name, meant, *self._repaired(sections))
        as_asked = isinstance(whole, dict) and whole.get(self._task.name) == found.label
        status = CLEANED if found.how == EXACT and not as_asked else found.how
        score, reason = self._score(sections)
        return ParsedLabel(self._task.name, found.label, score, status, reason)

    def _repaired(self, sections: Sequence[Section]) -> tuple[float | None, str, str | None]:
        score, reason = self._score(sections)
        return score, REPAIRED, reason

    def _meant(self, sections: Sequence[Section]) -> str | None:
        """The label that the one unknown value in this task's place means."""
        values = self._values_said(sections) if self._finder else []
        if not self._finder or len({comparable(value) for value in values}) != 1:
            return None
        return self._finder(values[0])

    def _values_said(self, sections: Sequence[Section]) -> list[str]:
        """The values in this task's place, in the most explicit form that there is; empty if one is no word."""
        for section in sections:
            for fields in self._keys.search(section):
                said = [field.value for field in fields]
                if said:
                    return said if all(isinstance(value, str) for value in said) else []
            lone = text_fields.lone_values(section.rest) if self._alone and not section.has_object else []
            if len(lone) == 1 and len(lone[0]) <= LONGEST_SPELLING:
                return lone
        return []

    def _search(self, section: Section) -> Match:
        first: Match | None = None
        for found in self._readings(section):
            # Where one reading sees several labels, a looser one must not pick one of them.
            if found and (found.label or found.how not in _NOTHING_FOUND):
                return found
            first = first or found
        return first or Match(None, reasons.NO_LABEL)

    def _readings(self, section: Section) -> Iterator[Match | None]:
        """What one written form after another says, the most explicit first."""
        for fields in self._keys.search(section):
            yield self._agreed(fields)
        # Beside a JSON object that lacks the task, a word that stands free may be the value of anything.
        if self._alone and not section.has_object:
            yield self._bare(section.rest)
            yield self._prose(section.rest)

    def _agreed(self, fields: list[Field]) -> Match | None:
        """What the task's fields say, if they say one thing."""
        return _one([match for field in fields for match in self._values(field.value, unfinished=field.unfinished)])

    def _values(self, value: Any, *, unfinished: bool = False) -> list[Match]:
        if isinstance(value, str):
            if _PLACEHOLDER.fullmatch(value.strip()):
                return []
            return [self._matcher.starting_with(value) if unfinished else self._spelling(value)]
        if isinstance(value, bool) or value is None:
            return []
        if isinstance(value, int | float):
            # A number too great for a float is no level either.
            return [self._matcher.level(float(value) if abs(value) < 1e6 else 0.5)]
        pairs = value.items() if isinstance(value, dict) else value
        if isinstance(value, dict) or (value and all(isinstance(item, tuple) for item in value)):
            inner = [v for k, v in pairs if compact(str(k)) in _INNER_KEYS or k == self._task.name]
            return [match for item in inner[:1] if not isinstance(item, dict | list) for match in self._values(item)]
        return [match for item in value[:20] if not isinstance(item, list) for match in self._values(item)]

    def _spelling(self, value: str) -> Match:
        match = self._matcher.match(value)
        if match.how != reasons.UNKNOWN_LABEL:
            return match
        named = [self._matcher.match(found[2]) for key in self._keys.patterns for found in key.finditer(value[:300])]
        return next((inner for inner in named if inner.label), match)

    def _bare(self, text: str) -> Match | None:
        """An answer, or a line of it, that is a label; only where no other task could be meant."""
        whole, *lines = text_fields.lone_values(text) or [""]
        match = self._matcher.match(whole) if len(whole) <= LONGEST_BARE else None
        if match and (match.label or match.how in (reasons.SEVERAL_LABELS, reasons.AMBIGUOUS, reasons.BAD_NUMBER)):
            return match
        alone = [Match(name, CLEANED) for line in lines if (name := self._matcher.name_of(line))]
        return _one(alone) or match

    def _prose(self, text: str) -> Match | None:
        said = [match for part in text_fields.sayings(text) if (match := self._matcher.match(part)).label]
        if said:
            return _one([replace(match, how=MATCHED) for match in said])
        return _one(
            [Match(name, MATCHED) for span in text_fields.emphasised(text) if (name := self._matcher.name_of(span))]
        )

    def _score(self, sections: Sequence[Section]) -> tuple[float | None, str | None]:
        score = self._task.score
        if score is None or self._score_keys is None:
            return None, None
        for section in sections:
            for fields in self._score_keys.search(section):
                results = {read_score(_number_in(field.value), score) for field in fields if not field.unfinished}
                if len(results) == 1:
                    return results.pop()
                if results:
                    return None, reasons.SCORE_INVALID
        return None, reasons.SCORE_MISSING


def _one(matches: list[Match]) -> Match | None:
    """The one thing that all matches say; None if there are none."""
    if not matches:
        return None
    labels = {match.label for match in matches}
    if len(labels) > 1:
        return Match(None, reasons.SEVERAL_LABELS)
    order = (EXACT, CLEANED, MATCHED)
    return min(matches, key=lambda match: order.index(match.how) if match.how in order else len(order))


def _number_in(value: Any) -> Any:
    """The number at the head of a line's remainder, e.g. "-40, because"."""
    if not isinstance(value, str):
        return value
    found = re.match(r"\s*([+-]?\s*\d{1,6}(?:\.\d{1,6})?(?:\s*/\s*\d+)?)(?![\w.%]*\d)", value)
    return found[1] if found else value

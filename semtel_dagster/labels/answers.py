"""From a model's raw answer to one label per task. Arrow batches belong in `batches`.

A clean answer takes a short path. Any other is searched by one method after another, from the most explicit form to
the least; for each task the first method that finds a value decides, and values that disagree decide nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from semtel_dagster.classifiers import Classifier, Task
from semtel_dagster.labels import extract, reasons
from semtel_dagster.labels.extract import Field
from semtel_dagster.labels.matching import CLEANED, EXACT, MATCHED, Match, Matcher
from semtel_dagster.labels.normalise import compact
from semtel_dagster.labels.scores import read_score

INVALID, UNANSWERED = "invalid", "unanswered"
LONGEST_BARE = 400
_NOTHING_FOUND = (reasons.NO_LABEL, reasons.UNKNOWN_LABEL, reasons.NEGATED)
_INNER_KEYS = frozenset({"label", "value", "name", "answer", "category", "level", "class"})
_PLACEHOLDER = re.compile(r"(?:<[^<>]*>|\.\.\.|…|\{\{?[^{}]*\}?\})?")
_REFUSAL = re.compile(
    r"(?i)\b(?:sorry|apologi[sz]e|i (?:can(?:no|')?t|am unable|am not able|will not|won't)|unable to|as an ai|"
    r"es tut mir leid|lo siento|je suis désolée?|desculpe)|抱歉|对不起|申し訳|извините|عذر"
)


@dataclass(frozen=True, slots=True)
class ParsedLabel:
    """What an answer says about one task.

    Attributes:
        task: The task's name.
        label: One of the task's labels, or None when `status` is invalid or unanswered.
        score: The task's score within its range, or None.
        status: exact (a clean answer), cleaned (the label's name, dug out), matched (another spelling), invalid.
        reason: A code of `reasons` when label or score is missing.
        confidence: Between 0 and 1, where the answer states one.
    """

    task: str
    label: str | None
    score: float | None
    status: str
    reason: str | None
    confidence: float | None = None


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
        self._tasks = tuple(_TaskReader(task, classifier) for task in classifier.tasks)
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
        text = extract.spoken(whole if isinstance(whole, str) else raw_text)
        if not text:
            reason = reasons.CUT_OFF if raw_text.strip() else reasons.EMPTY
            return tuple(task.invalid(reason) for task in self._tasks)
        final = extract.final_part(text)
        return tuple(task.read(text, final, whole) for task in self._tasks)


class _TaskReader:
    """Finds and reads one task's values in a text."""

    def __init__(self, task: Task, classifier: Classifier) -> None:
        self._task = task
        self._matcher = Matcher(task)
        self._alone = len(classifier.tasks) == 1
        # The task's own key first; only without it a variation, and with one task to ask a key such as "label".
        self._keys = _Keys(task.name, [*_variations(task, classifier), *(extract.GENERIC_KEYS if self._alone else ())])
        self._score_keys = None
        if task.score:
            self._score_keys = _Keys(task.score.field, extract.GENERIC_SCORES if self._alone else ())
        fields = [field for other in classifier.tasks for field in _field_names(other) if field != task.name]
        self._others = extract.name_pattern(fields) if fields else None
        self._ready = {label.name: ParsedLabel(task.name, label.name, None, EXACT, None) for label in task.labels}

    def invalid(self, reason: str) -> ParsedLabel:
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

    def read(self, text: str, final: str | None, whole: Any) -> ParsedLabel:
        """The label that a text gives, by the first method that finds one; `whole` is it as JSON, if it is JSON."""
        found = self._search(final) if final else None
        if found is None or found.label is None:
            found = self._search(text)
        if found.label is None:
            refused = found.how in _NOTHING_FOUND and _REFUSAL.search(text[:400])
            return self.invalid(reasons.REFUSAL if refused else found.how)
        as_asked = isinstance(whole, dict) and whole.get(self._task.name) == found.label
        status = CLEANED if found.how == EXACT and not as_asked else found.how
        score, reason = self._score(text, final)
        return ParsedLabel(self._task.name, found.label, score, status, reason)

    def _search(self, text: str) -> Match:
        first: Match | None = None
        fields, rest = extract.json_fields(text)
        methods: list[Callable[[], Match | None]] = [
            lambda: self._agreed(fields),
            lambda: self._agreed(extract.broken_fields(rest)),
            lambda: self._agreed(extract.tag_fields(rest)),
            lambda: self._agreed(extract.line_fields(rest, self._keys.patterns, self._others)),
        ]
        # Beside a JSON object that lacks the task, a word that stands free may be the value of anything.
        if self._alone and not fields and rest:
            methods += [lambda: self._bare(rest), lambda: self._prose(rest)]
        for method in methods:
            found = method()
            if found and found.label:
                return found
            # Where one reading sees several labels, a looser one must not pick one of them.
            if found and found.how not in _NOTHING_FOUND:
                return found
            first = first or found
        return first or Match(None, reasons.NO_LABEL)

    def _agreed(self, fields: list[Field]) -> Match | None:
        """What the task's fields say, if they say one thing."""
        own = self._keys.fields(fields)
        return _one([match for field in own for match in self._values(field.value, unfinished=field.unfinished)])

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
        whole, *lines = extract.lone_values(text) or [""]
        match = self._matcher.match(whole) if len(whole) <= LONGEST_BARE else None
        if match and (match.label or match.how in (reasons.SEVERAL_LABELS, reasons.AMBIGUOUS, reasons.BAD_NUMBER)):
            return match
        alone = [Match(name, CLEANED) for line in lines if (name := self._matcher.name_of(line))]
        return _one(alone) or match

    def _prose(self, text: str) -> Match | None:
        said = [match for part in extract.sayings(text) if (match := self._matcher.match(part)).label]
        if said:
            return _one([replace(match, how=MATCHED) for match in said])
        return _one(
            [Match(name, MATCHED) for span in extract.emphasised(text) if (name := self._matcher.name_of(span))]
        )

    def _score(self, text: str, final: str | None) -> tuple[float | None, str | None]:
        score = self._task.score
        if score is None or self._score_keys is None:
            return None, None
        for part in filter(None, (final, text)):
            written, rest = extract.json_fields(part)
            for fields in (
                written,
                extract.broken_fields(rest),
                extract.tag_fields(rest),
                extract.line_fields(rest, self._score_keys.patterns),
            ):
                whole = [field for field in fields if not field.unfinished]
                results = {read_score(_number_in(field.value), score) for field in self._score_keys.fields(whole)}
                if len(results) == 1:
                    return results.pop()
                if results:
                    return None, reasons.SCORE_INVALID
        return None, reasons.SCORE_MISSING


def _field_names(task: Task) -> tuple[str, ...]:
    return (task.name, task.score.field) if task.score else (task.name,)


def _variations(task: Task, classifier: Classifier) -> list[str]:
    """Keys that models make of a task's name; whose turns are judged, where that tells the tasks apart."""
    names = [f"{task.name}s", *(f"{word} {task.name}" for word in ("primary", "main", "predicted", "final"))]
    if task.subject != "conversation" and [other.subject for other in classifier.tasks].count(task.subject) == 1:
        names.append(task.subject)
    return [name for name in names if all(name != field for other in classifier.tasks for field in _field_names(other))]


class _Keys:
    """The names under which one value may stand in an answer."""

    def __init__(self, own: str, generic: Sequence[str]) -> None:
        self._own = compact(own)
        self._generic = frozenset(compact(name) for name in generic)
        self.patterns = [extract.key_pattern(name) for name in (own, *generic)]

    def fields(self, fields: Sequence[Field]) -> list[Field]:
        """The fields with the own name, or else those with a generic one, whatever their case and separators."""
        keyed = [(compact(field.key), field) for field in fields]
        own = [field for key, field in keyed if key == self._own]
        return own or [field for key, field in keyed if key in self._generic]


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


def _json_value(raw_text: str) -> Any:
    try:
        return orjson.loads(raw_text)
    except orjson.JSONDecodeError:
        return None


@functools.lru_cache(maxsize=64)
def _parser(classifier: Classifier) -> AnswerParser:
    return AnswerParser(classifier)

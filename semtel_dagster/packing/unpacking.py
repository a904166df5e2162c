"""Reading the answer to a call in company: which conversation and which classifier gets what.

Belongs here: from a raw text to one raw text per conversation and classifier, by id and never by position; anything
doubtful is left out and asked again. What a label means stays the parser's business.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from semtel_dagster.classifiers import Classifier, CompiledPrompt
from semtel_dagster.labels.answers import AnswerParser
from semtel_dagster.labels.parsed import ParsedLabel
from semtel_dagster.packing.packs import Pack

ID = "id"
_DEPTH = 6
_MORE_OBJECTS = 64  # tried beyond four per conversation, in an answer that is no JSON as a whole

_Fields = dict[str, Any]


class AnswerReader:
    """Reads the answers to calls that ask the same classifiers."""

    def __init__(self, prompts: Mapping[str, CompiledPrompt]) -> None:
        """Builds the parser.

        Args:
            prompts: The classifiers asked, by name.
        """
        self._classifiers = {name: prompts[name].classifier for name in sorted(prompts)}
        tasks = tuple(task for classifier in self._classifiers.values() for task in classifier.tasks)
        self._parser = AnswerParser(Classifier(name="together", description="", tasks=tasks))

    def read(self, raw_text: str, pack: Pack) -> dict[str, dict[str, str]]:
        """The answers that can be told apart without doubt.

        Args:
            raw_text: The model's answer, whole or cut.
            pack: What was asked.

        Returns:
            By content hash and classifier, an answer such as that classifier alone would have had. A conversation or a
            classifier that is missing got no usable answer: it was left out, written twice in different ways, named
            by an id that is none, one of the classifier's tasks has no label, or one that another conversation names
            where that is not believed.
        """
        if not pack.framed:
            (conversation,) = pack.conversations
            found = {conversation.content_hash: self._members(raw_text, _object(raw_text))}
        else:
            by_hash = {pack.ids[an_id].content_hash: fields for an_id, fields in by_id(raw_text, pack).items()}
            found = {
                content_hash: self._members(orjson.dumps(fields).decode(), fields, pack.disbelieved.get(content_hash))
                for content_hash, fields in by_hash.items()
            }
        return {content_hash: members for content_hash, members in found.items() if members}

    def _members(
        self, raw_text: str, fields: _Fields, disbelieved: frozenset[str] | None = None
    ) -> dict[str, str]:  # fmt: skip
        labels = {parsed.task: parsed for parsed in self._parser.parse(raw_text)}
        unusable = {None, *(disbelieved or ())}
        answers = {}
        for name, classifier in self._classifiers.items():
            if all(labels[task.name].label not in unusable for task in classifier.tasks):
                answers[name] = orjson.dumps(_own_fields(classifier, fields, labels)).decode()
        return answers


def by_id(raw_text: str, pack: Pack) -> dict[str, _Fields]:
    """The entries of a pack's answer by id, without those that contradict each other.

    An answer with more invented ids than real ones is misaligned as a whole, and counts for nothing.
    """
    found: dict[str, _Fields | None] = {}
    invented = set()
    for an_id, fields in _entries(raw_text, 4 * len(pack.conversations) + _MORE_OBJECTS):
        if an_id not in pack.ids:
            invented.add(an_id)
        elif an_id in found and found[an_id] != fields:
            found[an_id] = None
        else:
            found[an_id] = fields
    if len(invented) > len(found):
        return {}
    return {an_id: fields for an_id, fields in found.items() if fields is not None}


def doubtful(raw_text: str, pack: Pack) -> set[str] | None:
    """The content hashes whose answer a grader doubts; None where the grader's own answer is unusable."""
    verdict = _object(raw_text)
    named = verdict.get("doubtful")
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
        return None
    ids = {each.strip().lower() for each in named}
    return {pack.ids[an_id].content_hash for an_id in ids & pack.ids.keys()}


def _own_fields(classifier: Classifier, fields: _Fields, labels: Mapping[str, ParsedLabel]) -> _Fields:
    """A classifier's part of an answer: the fields as they came, or what the parser made of them."""
    own: _Fields = {}
    for task in classifier.tasks:
        parsed = labels[task.name]
        if task.score and (task.score.field in fields or parsed.score is not None):
            own[task.score.field] = fields.get(task.score.field, parsed.score)
        own[task.name] = fields.get(task.name, parsed.label)
    return own


def _entries(raw_text: str, most: int) -> Iterator[tuple[str, _Fields]]:
    """Every object with an id, in the order in which they stand; the last one of a cut answer is lost."""
    decoder = json.JSONDecoder(strict=False, object_pairs_hook=_fields)
    position = 0
    for _ in range(most):
        position = raw_text.find("{", position)
        if position < 0:
            return
        try:
            value, position = decoder.raw_decode(raw_text, position)
        except (ValueError, RecursionError):
            position += 1
        else:
            yield from _entries_in(value)


def _entries_in(value: Any, depth: int = 0) -> Iterator[tuple[str, _Fields]]:
    if depth > _DEPTH:
        return
    if isinstance(value, list):
        for each in value:
            yield from _entries_in(each, depth + 1)
    elif isinstance(value, dict) and isinstance(value.get(ID), str):
        yield value[ID].strip().lower(), {name: field for name, field in value.items() if name != ID}
    elif isinstance(value, dict):
        for name, inner in value.items():
            if (
                isinstance(inner, dict)
                and ID not in inner
                and not any(isinstance(x, list | dict) for x in inner.values())
            ):
                yield name.strip().lower(), inner  # an object with the ids as keys
            else:
                yield from _entries_in(inner, depth + 1)


def _fields(pairs: list[tuple[str, Any]]) -> _Fields | None:
    """An object; None for one that gives two values for a key."""
    fields = dict(pairs)
    return fields if all(fields[name] == value for name, value in pairs) else None


def _object(raw_text: str) -> _Fields:
    try:
        value = orjson.loads(raw_text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}

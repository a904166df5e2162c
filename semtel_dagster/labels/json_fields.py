"""The fields of the JSON objects in an answer: one or several, nested, inside prose, broken or cut off.

Other written forms belong in `text_fields`; what a value means, in `matching` and `scores`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import json_repair

MAX_BROKEN_CHARACTERS = 2_000
MAX_OBJECTS = 64
MAX_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Field:
    """A value that an answer gives for a key; `unfinished` when the answer ends inside it."""

    key: str
    value: Any
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A text taken apart once, for all tasks.

    Attributes:
        fields: The fields of its well-formed JSON objects, nested ones included.
        broken: The fields of a JSON object in the rest that is cut off or badly written.
        rest: The text without its well-formed objects.
        has_object: Whether there is a well-formed object, even an empty one.
    """

    fields: tuple[Field, ...]
    broken: tuple[Field, ...]
    rest: str
    has_object: bool


def section(text: str) -> Section:
    """Takes a text apart into JSON and the rest."""
    fields: list[Field] = []
    parts, position = [], 0
    for value, start, end in _json_values(text):
        found = _fields_of(value)
        # A list without objects, such as ["food"], is left for looser readings.
        if found or isinstance(value, _Pairs):
            fields += found
            parts.append(text[position:start])
            position = end
    rest = "\n".join([*parts, text[position:]]).strip()
    return Section(tuple(fields), tuple(_broken_fields(rest)), rest, bool(parts))


def _broken_fields(text: str) -> list[Field]:
    """The fields of a JSON object that is cut off or badly written."""
    start = text.find("{")
    if start < 0:
        if not re.match(r"\s*[\"'][\w .-]{1,60}[\"']\s*:", text):
            return []
        text, start = "{" + text, 0
    part = text[start : start + MAX_BROKEN_CHARACTERS]
    try:
        value = json_repair.loads(part, skip_json_loads=True)
    except (ValueError, RecursionError, IndexError, KeyError, TypeError):
        return []
    fields = _fields_of(value)
    # An odd number of quotes: the text ends inside the last string.
    if fields and part.count('"') % 2 == 1 and not part.rstrip("` \n").endswith("}"):
        fields[-1] = Field(fields[-1].key, fields[-1].value, unfinished=True)
    return fields


def _json_values(text: str) -> Iterator[tuple[Any, int, int]]:
    decoder = json.JSONDecoder(strict=False, object_pairs_hook=_Pairs)
    position, tried = 0, 0
    while tried < MAX_OBJECTS:
        starts = [at for at in (text.find("{", position), text.find("[", position)) if at >= 0]
        if not starts:
            return
        tried += 1
        try:
            value, end = decoder.raw_decode(text, min(starts))
        except (ValueError, RecursionError):
            position = min(starts) + 1
        else:
            yield value, min(starts), end
            position = end


class _Pairs(list[tuple[str, Any]]):
    """An object's pairs in order, so that a key written twice is not lost."""


def _fields_of(value: Any, depth: int = 0) -> list[Field]:
    if depth > MAX_DEPTH:
        return []
    if isinstance(value, dict):
        value = _Pairs(value.items())
    if isinstance(value, _Pairs):
        fields = _record(value)
        for key, inner in value:
            fields.append(Field(str(key), inner))
            if isinstance(inner, dict | list) and not _is_schema(inner):
                fields += _fields_of(inner, depth + 1)
        return fields
    if isinstance(value, list):
        return [field for inner in value for field in _fields_of(inner, depth + 1)]
    return []


def _record(pairs: Sequence[tuple[str, Any]]) -> list[Field]:
    """The field of an object such as {"task": "topic", "label": "food"}, which names its own key."""
    named = {str(key).casefold(): value for key, value in pairs}
    keys = [named[key] for key in ("task", "field", "question", "name") if isinstance(named.get(key), str)]
    values = [named[key] for key in ("label", "answer", "value") if key in named]
    return [Field(keys[0], values[0])] if keys and values else []


def _is_schema(value: Any) -> bool:
    """A JSON schema that the model repeats is no answer."""
    keys = {key for key, _ in value} if isinstance(value, _Pairs) else set(value) if isinstance(value, dict) else set()
    return bool(keys & {"enum", "type", "properties"})

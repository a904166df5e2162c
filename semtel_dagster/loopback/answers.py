"""What a successful call says: a valid answer by the request's schema, a fixed one, a dirty one, a confused one.

Every answer is a hash of the seed and the transcript: the same at every call. The shapes of dirt are in `dirt`.
"""

from __future__ import annotations

import math
from typing import Any

import orjson

from semtel_dagster.loopback.chance import unit
from semtel_dagster.loopback.chat import key_of
from semtel_dagster.loopback.dirt import soil
from semtel_dagster.loopback.script import Answers

Schema = dict[str, Any]
NO_SCHEMA: Schema = {"type": "object", "properties": {"label": {"enum": ["other"]}}}
_DEPTH = 12


class Answerer:
    """Answers transcripts as a script says."""

    def __init__(self, answers: Answers, seed: int) -> None:
        self._answers = answers
        self._seed = seed
        self._truth = {_truth_key(key): value for key, value in answers.truth.items()}

    def answer(self, schema: Schema | None, key: bytes) -> str:
        """The text of the answer about a transcript.

        Args:
            schema: The request's JSON schema, or the last one known for its prompt.
            key: The transcript's 16 hash bytes (`chat.key_of`).
        """
        if self._answers.style == "fixed":
            return self._answers.text
        value = self.value(self._answers.json_schema or schema or NO_SCHEMA, key)
        if self._answers.style == "dirty" and unit(self._seed, "dirty", key) < self._answers.dirty_share:
            return soil(value, unit(self._seed, "dirt", key))
        return orjson.dumps(value).decode()

    def value(self, schema: Schema, key: bytes) -> Any:
        """The answer about a transcript as a value, before any dirt."""
        truth = self._truth.get(key) if self._answers.style == "confusion" else None
        return _Choice(schema, self._seed, key, truth, self._answers.accuracy).value(schema, "")

    def told(self, key: bytes) -> dict[str, str]:
        """The labels by task that the script holds for true about a transcript; empty where it holds none by task."""
        truth = self._truth.get(key)
        return truth if isinstance(truth, dict) else {}


def valid_answer(schema: Schema, transcript: str, seed: int = 0) -> Any:
    """What `echo_labels` answers about a transcript, as a value; for tests that must know it beforehand."""
    return _Choice(schema, seed, key_of(transcript), None, 1.0).value(schema, "")


def _truth_key(key: str) -> bytes:
    if len(key) == 32:
        try:
            return bytes.fromhex(key)
        except ValueError:
            pass
    return key_of(key)


class _Choice:
    """One transcript's value for a schema."""

    def __init__(
        self, root: Schema, seed: int, key: bytes, truth: str | dict[str, str] | None, accuracy: float
    ) -> None:
        self._root = root
        self._seed = seed
        self._key = key
        self._truth = truth
        self._accuracy = accuracy

    def value(self, schema: Schema, path: str, depth: int = 0) -> Any:
        """A value that is valid under `schema`; `path` (property names) makes draws of fields independent."""
        if depth > _DEPTH:
            return None
        if "$ref" in schema:
            return self.value(self._resolve(schema["$ref"]), path, depth + 1)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._label(schema["enum"], path)
        for union in ("anyOf", "oneOf", "allOf"):
            if schema.get(union):
                return self.value(schema[union][0], path, depth + 1)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        return self._typed(kind[0] if isinstance(kind, list) else kind, schema, path, depth)

    def _typed(self, kind: str, schema: Schema, path: str, depth: int) -> Any:
        if kind == "object":
            fields = schema.get("properties", {})
            return {name: self.value(field, f"{path}.{name}", depth + 1) for name, field in fields.items()}
        if kind == "array":
            few = max(1, int(schema.get("minItems", 1)))
            return [self.value(schema.get("items", {}), f"{path}.{at}", depth + 1) for at in range(few)]
        if kind in {"integer", "number"}:
            return self._number(kind, schema, path)
        if kind == "boolean":
            return self._draw(path) < 0.5
        if kind == "null":
            return None
        return self._told(path) or f"text {self._key.hex()[:8]}"

    def _number(self, kind: str, schema: Schema, path: str) -> int | float:
        low = float(schema.get("minimum", 0))
        high = float(schema.get("maximum", low + 1))
        if kind == "integer":
            least, most = math.ceil(low), math.floor(high)
            return least + int(self._draw(path) * (most - least + 1))
        return min(high, max(low, round(low + self._draw(path) * (high - low), 3)))

    def _label(self, labels: list[Any], path: str) -> Any:
        truth = self._told(path)
        if truth is None or truth not in labels:
            return labels[int(self._draw(path) * len(labels))]
        if self._draw("right" + path) < self._accuracy or len(labels) == 1:
            return truth
        others = [label for label in labels if label != truth]
        return others[int(self._draw(path) * len(others))]

    def _told(self, path: str) -> str | None:
        if isinstance(self._truth, dict):
            return self._truth.get(path.rpartition(".")[2])
        return self._truth

    def _draw(self, path: str) -> float:
        return unit(self._seed, path, self._key)

    def _resolve(self, reference: str) -> Schema:
        node: Any = self._root
        for step in reference.removeprefix("#/").split("/"):
            node = node.get(step, {}) if step and isinstance(node, dict) else node
        return node if isinstance(node, dict) else {}

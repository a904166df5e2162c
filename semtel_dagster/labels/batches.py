"""Parsing as an Arrow function: batches of responses in, batches of labels per content hash out.

What an answer means belongs in `answers`; which conversations share it, in the stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from semtel_dagster.classifiers import Classifier
from semtel_dagster.labels.answers import AnswerParser
from semtel_dagster.labels.fingerprint import parser_fingerprint
from semtel_dagster.labels.nearness import Nearness
from semtel_dagster.labels.parsed import PREDICTED, PREDICTED_MARK, REPAIRED, REPAIRED_MARK, UNANSWERED, ParsedLabel
from semtel_dagster.tables import LABELS

COLUMNS = ("content_hash", "prompt_fingerprint", "model", "raw_text", "status", "error")
PARSED = pa.schema(
    [
        LABELS.field(name)
        for name in (
            "content_hash",
            "task",
            "label",
            "score",
            "label_status",
            "reason",
            "confidence",
            "prompt_fingerprint",
            "parser_fingerprint",
            "model",
        )
    ]
)
DECIDING = ("raw_text", "status", "error", "model")
OF_THE_RESPONSE = ("content_hash", "prompt_fingerprint", "model")
OF_THE_LABEL = {
    "task": "task",
    "label": "label",
    "score": "score",
    "label_status": "status",
    "reason": "reason",
    "confidence": "confidence",
}

Labels: TypeAlias = tuple[ParsedLabel, ...]
Places: TypeAlias = NDArray[np.int64]

BATCH_BYTES = 4 * 2**20
_REMEMBERED = 4096
_REMEMBERED_LENGTH = 300


@dataclass(frozen=True)
class ParseResponses:
    """Reads every response of a partition; one row per content hash and task, in the order of the responses.

    Attributes:
        classifier: The tasks that were asked.
        nearness: Finds labels by their meaning where nothing else does; unset: such answers are invalid.
    """

    classifier: Classifier
    nearness: Nearness | None = None

    @property
    def schema(self) -> pa.Schema:
        """The schema of the batches that a call gives: PARSED."""
        return PARSED

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of responses that a call reads."""
        return COLUMNS

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks, in their order."""
        return tuple(task.name for task in self.classifier.tasks)

    @property
    def fingerprint(self) -> str:
        """The parser's fingerprint for this classifier."""
        return parser_fingerprint(self.classifier, self.nearness.fingerprint if self.nearness else "")

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Parses batches that hold COLUMNS of tables.RESPONSES; other columns are ignored."""
        parser = AnswerParser(self.classifier, self.nearness)
        fingerprint = self.fingerprint
        # Answers repeat: a few labels make most of them.
        known: dict[str, Labels] = {}
        for rows in _larger(batches):
            first, place = _distinct(rows)
            answers = zip(*(rows.column(name).take(first).to_pylist() for name in DECIDING), strict=True)
            read = [self._labels(parser, known, *answer) for answer in answers]
            yield self._batch(rows, read, place, fingerprint)

    def _labels(
        self,
        parser: AnswerParser,
        known: dict[str, Labels],
        raw_text: str | None,
        status: str,
        error: str | None,
        model: str | None,
    ) -> Labels:
        """What one response says, a label for every task."""
        if status != "answered":
            return tuple(ParsedLabel(task, None, None, UNANSWERED, error) for task in self.tasks)
        labels = _parsed(parser, known, raw_text or "")
        if model and model.startswith(PREDICTED_MARK):
            return _predicted(labels, raw_text or "")
        if error and error.startswith(REPAIRED_MARK):
            return tuple(replace(label, status=REPAIRED) if label.label else label for label in labels)
        return labels

    def _batch(self, rows: pa.RecordBatch, read: list[Labels], place: Places, fingerprint: str) -> pa.RecordBatch:
        """PARSED from responses, what the distinct ones among them say, and each response's place among those."""
        n_tasks = len(self.classifier.tasks)
        labels_of = pa.array((place[:, None] * n_tasks + np.arange(n_tasks)).ravel())
        response_of = pa.array(np.repeat(np.arange(len(place)), n_tasks))
        flat = [label for labels in read for label in labels]
        columns = {
            "parser_fingerprint": pa.repeat(fingerprint, len(labels_of)),
            **{name: rows.column(name).take(response_of) for name in OF_THE_RESPONSE},
            **{
                name: pa.array([getattr(label, attribute) for label in flat], PARSED.field(name).type).take(labels_of)
                for name, attribute in OF_THE_LABEL.items()
            },
        }
        return pa.RecordBatch.from_arrays([columns[each.name].cast(each.type) for each in PARSED], schema=PARSED)


def _larger(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of about BATCH_BYTES: the larger, the more answers in one are equal."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        held.append(batch.select(COLUMNS))
        size += held[-1].nbytes
        if size >= BATCH_BYTES:
            yield pa.concat_batches(held)
            held, size = [], 0
    if held:
        yield pa.concat_batches(held)


def _distinct(rows: pa.RecordBatch) -> tuple[Places, Places]:
    """Where each distinct answer stands first, and the place of every row's answer among the distinct ones."""
    first = place = np.zeros(rows.num_rows, dtype=np.int64)
    for name in DECIDING:
        encoded = rows.column(name).dictionary_encode(null_encoding="encode")
        value = encoded.indices.to_numpy().astype(np.int64)
        _, first, place = np.unique(place * len(encoded.dictionary) + value, return_index=True, return_inverse=True)
    return first, place


def _predicted(labels: Labels, raw_text: str) -> Labels:
    """Labels that a student of the cascade gave, with the one confidence that it states for all of them."""
    confidence = orjson.loads(raw_text).get("confidence")
    return tuple(replace(label, status=PREDICTED, confidence=confidence) if label.label else label for label in labels)


def _parsed(parser: AnswerParser, known: dict[str, Labels], raw_text: str) -> Labels:
    labels = known.get(raw_text)
    if labels is None:
        labels = parser.parse(raw_text)
        if len(raw_text) <= _REMEMBERED_LENGTH and len(known) < _REMEMBERED:
            known[raw_text] = labels
    return labels

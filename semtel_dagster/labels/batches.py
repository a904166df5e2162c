"""Parsing as an Arrow function: batches of responses in, batches of labels per content hash out.

What an answer means belongs in `answers`; which conversations share it, in the stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pyarrow as pa

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
        known: dict[str, tuple[ParsedLabel, ...]] = {}
        for batch in batches:
            rows = [batch.column(name).to_pylist() for name in COLUMNS]
            yield self._batch(parser, known, fingerprint, rows)

    def _batch(
        self, parser: AnswerParser, known: dict[str, tuple[ParsedLabel, ...]], fingerprint: str, rows: list[list[Any]]
    ) -> pa.RecordBatch:
        columns: dict[str, list[Any]] = {name: [] for name in PARSED.names}
        for content_hash, prompt_fingerprint, model, raw_text, status, error in zip(*rows, strict=True):
            if status != "answered":
                labels = tuple(ParsedLabel(task, None, None, UNANSWERED, error) for task in self.tasks)
            else:
                labels = _parsed(parser, known, raw_text or "")
                if model and model.startswith(PREDICTED_MARK):
                    labels = _predicted(labels, raw_text or "")
                elif error and error.startswith(REPAIRED_MARK):
                    labels = tuple(replace(label, status=REPAIRED) if label.label else label for label in labels)
            for parsed in labels:
                columns["content_hash"].append(content_hash)
                columns["task"].append(parsed.task)
                columns["label"].append(parsed.label)
                columns["score"].append(parsed.score)
                columns["label_status"].append(parsed.status)
                columns["reason"].append(parsed.reason)
                columns["confidence"].append(parsed.confidence)
                columns["prompt_fingerprint"].append(prompt_fingerprint)
                columns["model"].append(model)
        columns["parser_fingerprint"] = [fingerprint] * len(columns["task"])
        arrays = [pa.array(columns[field.name], field.type) for field in PARSED]
        return pa.RecordBatch.from_arrays(arrays, schema=PARSED)


def _predicted(labels: tuple[ParsedLabel, ...], raw_text: str) -> tuple[ParsedLabel, ...]:
    """Labels that a student of the cascade gave, with the one confidence that it states for all of them."""
    confidence = orjson.loads(raw_text).get("confidence")
    return tuple(replace(label, status=PREDICTED, confidence=confidence) if label.label else label for label in labels)


def _parsed(parser: AnswerParser, known: dict[str, tuple[ParsedLabel, ...]], raw_text: str) -> tuple[ParsedLabel, ...]:
    labels = known.get(raw_text)
    if labels is None:
        labels = parser.parse(raw_text)
        if len(raw_text) <= _REMEMBERED_LENGTH and len(known) < _REMEMBERED:
            known[raw_text] = labels
    return labels

"""The embedded default model: answers any classifier file in this process, from static vectors and cues.

It is small and says so: it knows what words mean on average, not what a sentence says. `python
benchmarks/zero_shot.py` prints how often it agrees with people. What decides a task belongs in `tasks.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from semtel_dagster.classifiers import Classifier, CompiledPrompt, Score
from semtel_dagster.embedding.semantic import semantic_space
from semtel_dagster.embedding.static_vectors import VERSION
from semtel_dagster.embedding.tasks import Answer, TaskReader, read_task
from semtel_dagster.transcript import Turn, parse

NAME = f"semtel-zero-shot-2 ({VERSION})"


class ZeroShotModel:
    """A LocalModel; each transcript is answered on its own, the same in any batch."""

    def __init__(self) -> None:
        self._readers: dict[Classifier, tuple[TaskReader, ...]] = {}

    @property
    def name(self) -> str:
        """Name and version, as recorded with each answer."""
        return NAME

    def answer(self, prompt: CompiledPrompt, transcripts: Sequence[str]) -> list[str]:
        """Answers each transcript with the JSON text that the prompt's response schema asks for.

        Raises:
            ValueError: A transcript has not the form of `semtel_dagster.transcript`.
        """
        readers = self._readers_of(prompt.classifier)
        order = list(prompt.response_schema.get("properties", {}))
        return [_json(readers, parse(transcript), order) for transcript in transcripts]

    def _readers_of(self, classifier: Classifier) -> tuple[TaskReader, ...]:
        if classifier not in self._readers:
            self._readers[classifier] = tuple(read_task(task, semantic_space()) for task in classifier.tasks)
        return self._readers[classifier]


def load() -> ZeroShotModel:
    """Makes the model; picklable as a factory, and checks that its files are there.

    Raises:
        DependencyError: The token vectors are missing or another version.
    """
    semantic_space()
    return ZeroShotModel()


def _json(readers: Sequence[TaskReader], turns: Sequence[Turn], order: Sequence[str]) -> str:
    fields: dict[str, Any] = {}
    for reader in readers:
        answer = reader.answer(turns)
        if reader.task.score is not None:
            fields[reader.task.score.field] = scaled(answer, reader.task.score)
        fields[reader.task.name] = answer.label
    named = [field for field in order if field in fields]
    return json.dumps({field: fields[field] for field in named or fields}, ensure_ascii=False)


def scaled(answer: Answer, score: Score) -> int | float:
    """An answer's place between -1 and 1 on the score's range, whole where the range's ends are."""
    value = score.minimum + (answer.position + 1) / 2 * (score.maximum - score.minimum)
    whole = float(score.minimum).is_integer() and float(score.maximum).is_integer()
    return round(value) if whole else round(value, 3)

"""What a classifier is: tasks, labels, and the compiled prompt. The narrow types that rooms share.

Loading a classifier from its Prompty file belongs in `prompts/`; cleaning answers in `labels/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict


class Label(BaseModel):
    """One value a task can take.

    Attributes:
        name: The value that answers and tables carry.
        definition: What it means; part of the prompt.
        excludes: What it is not; part of the prompt.
        aliases: Other spellings that parsing accepts; never part of the prompt or its fingerprint.
        group: A coarser class for reports, e.g. "low" and "high" complexity.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    definition: str
    excludes: str = ""
    aliases: tuple[str, ...] = ()
    group: str | None = None


class Score(BaseModel):
    """A number that a task's answer carries beside its label."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str
    minimum: float
    maximum: float


class Task(BaseModel):
    """One question asked of a conversation, answered by exactly one label.

    Attributes:
        name: The answer's JSON field, and the `task` column of the label tables.
        question: What is asked, in words.
        labels: The allowed values; for an ordinal task from low to high.
        ordinal: Whether the order of the labels carries meaning.
        score: A numeric field that goes with the label, if any.
        subject: Whose turns are judged: "conversation", "user" or "assistant".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    question: str
    labels: tuple[Label, ...]
    ordinal: bool = False
    score: Score | None = None
    subject: str = "conversation"


class Classifier(BaseModel):
    """A prompt file's content as values: its tasks and where it came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class PromptMessage:
    """A chat message; `after` is set on the one message that holds the transcript.

    That message's content is `before + transcript + after`; every other's is `before`.
    """

    role: str
    before: str
    after: str | None = None


@dataclass(frozen=True)
class CompiledPrompt:
    """A classifier's prompt, rendered once: all that is needed to ask about any transcript.

    Attributes:
        classifier: The tasks and labels.
        messages: Chat messages, the static part first; exactly one has a place for the transcript.
        response_schema: JSON schema of the answer (an object, enums for labels, no extra fields).
        options: Model parameters by their API names, e.g. {"temperature": 0, "max_tokens": 60}.
        fingerprint: 16 hex digits over messages, schema and options: what can change an answer.
        static_tokens: o200k tokens of everything but the transcript.
        model: The model the prompt file asks for; an endpoint's own model wins.
    """

    classifier: Classifier
    messages: tuple[PromptMessage, ...]
    response_schema: dict[str, Any]
    options: dict[str, Any]
    fingerprint: str
    static_tokens: int
    model: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


Prompts: TypeAlias = Mapping[str, CompiledPrompt]
"""The compiled prompts of all classifiers, by name."""


class LocalModel(Protocol):
    """A model that answers in this process, behind the same endpoint interface as a server."""

    @property
    def name(self) -> str:
        """The model's name and version, as it is recorded with each answer."""
        ...

    def answer(self, prompt: CompiledPrompt, transcripts: Sequence[str]) -> list[str]:
        """Answers each transcript with the JSON text that a remote model would send."""
        ...

"""Small builders for the request engine's tests: prompts, rows, plans, a virtual server on a virtual clock."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from semtel_dagster import tables
from semtel_dagster.classifiers import Classifier, CompiledPrompt, Label, PromptMessage, Task
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.requests.figures import Figures
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.requests.row import Record, to_batch
from semtel_dagster.settings import EndpointSettings, RequestSettings

BEFORE, AFTER = "Here it is:\n", "\nAnswer now."
LABELS = ("red", "green", "blue")


def prompt(fingerprint: str = "f" * 16, **options: Any) -> CompiledPrompt:
    """A classifier of one task with three labels."""
    task = Task(name="colour", question="Which?", labels=tuple(Label(name=name, definition=name) for name in LABELS))
    return CompiledPrompt(
        classifier=Classifier(name="colour", description="", tasks=(task,)),
        messages=(PromptMessage("system", "Say the colour."), PromptMessage("user", BEFORE, AFTER)),
        response_schema={
            "type": "object",
            "properties": {"colour": {"type": "string", "enum": list(LABELS)}},
            "required": ["colour"],
            "additionalProperties": False,
        },
        options={"temperature": 0, "max_tokens": 20, **options},
        fingerprint=fingerprint,
        static_tokens=10,
    )


def hash_of(text: str) -> str:
    """The content hash of a text, as the pipeline makes it."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def batches(texts: list[str], size: int = 500) -> Iterator[pa.RecordBatch]:
    """Texts as input batches."""
    for at in range(0, len(texts), size):
        part = texts[at : at + size]
        yield pa.record_batch(
            {
                "content_hash": pa.array([hash_of(text) for text in part], pa.large_string()),
                "text": pa.array(part, pa.large_string()),
                "n_tokens": pa.array([len(text) // 4 for text in part], pa.int32()),
            }
        )


def texts(count: int) -> list[str]:
    """So many different texts."""
    return [f"conversation {number}" for number in range(count)]


def endpoint(base_url: str, name: str = "one", model: str = "m", **fields: Any) -> EndpointSettings:
    """An OpenAI-compatible endpoint."""
    return EndpointSettings(name=name, base_url=base_url, model=model, **fields)


def plan(
    journal: Any, *endpoints: EndpointSettings, requests: dict[str, Any] | None = None, **fields: Any
) -> RequestPlan:
    """A plan over these endpoints."""
    return RequestPlan(endpoints, RequestSettings(**(requests or {})), str(journal), **fields)


def run(
    a_plan: RequestPlan, conversations: list[str], a_prompt: CompiledPrompt | None = None
) -> tuple[pa.Table, Figures]:
    """Classifies texts; the table and the last figures."""
    figures: list[Figures] = []
    function = ClassifyBatches(a_prompt or prompt(), a_plan, figures.append, total=len(conversations))
    table = pa.Table.from_batches(list(function(batches(conversations))), schema=tables.RESPONSES)
    return table, figures[-1]


def record(text: str, model: str = "m", answer: str = '{"colour":"red"}', status: str = "answered") -> Record:
    """A finished row."""
    error = None if status == "answered" else "content_filter (HTTP 400)"
    return (
        hash_of(text), "f" * 16, model, "one", answer, "stop", None, 10, 0, 5, 0.5, 3, 1, False, status, error, True,
    )  # fmt: skip


def batch_of(*records: Record) -> pa.RecordBatch:
    """Finished rows as a batch of RESPONSES."""
    return to_batch(list(records))[0]


class Bucket:
    """A server's limit on a virtual clock: a bucket that refills steadily."""

    def __init__(self, per_second: float, burst: float) -> None:
        self.per_second = per_second
        self.burst = burst
        self._level = burst
        self._at = 0.0

    def take(self, now: float, units: float = 1.0) -> bool:
        """Whether a call is accepted."""
        self._level = min(self.burst, self._level + (now - self._at) * self.per_second)
        self._at = now
        if self._level < units:
            return False
        self._level -= units
        return True

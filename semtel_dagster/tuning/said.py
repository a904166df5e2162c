"""What came of asking about a sample: labels, and what they took.

Belongs here: reading and adding up responses. Asking belongs in `asking`, comparing in `measuring`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from semtel_dagster import tables
from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.errors import EndpointError
from semtel_dagster.repair import parser_for
from semtel_dagster.requests.figures import Figures
from semtel_dagster.requests.plan import RequestPlan

MOST_UNANSWERED = 0.1
Labels = Mapping[str, Mapping[str, str | None]]
"""By task, then conversation_id; None where the answer is invalid or missing."""
Known = Mapping[str, Mapping[str, tuple[str, ...]]]
"""By classifier, then conversation_id: the labels of its tasks that a student is sure of."""
NOTHING: Known = {}


@dataclass(frozen=True)
class Said:
    """What came of asking about a sample in one way.

    Attributes:
        labels: The answers.
        calls: Calls that the answers took, whenever they were made.
        input_tokens: Prompt tokens of the answers, likewise the others.
        cached_tokens: Of these, served from a prompt cache.
        output_tokens: Completion tokens.
        seconds: How long asking took, whenever it was done.
        made: Of the calls, those made now.
    """

    labels: Labels
    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    made: int = 0


def labels_of(
    prompt: CompiledPrompt, plan: RequestPlan, responses: list[pa.RecordBatch], hashes: Mapping[str, str]
) -> dict[str, dict[str, str | None]]:
    """What a classifier's responses say about conversations, by task.

    Args:
        prompt: The classifier's prompt.
        plan: How answers without a label are treated.
        responses: Batches of RESPONSES.
        hashes: The content hash of each conversation.
    """
    parser = parser_for(prompt.classifier, plan.requests)
    rows = [row for batch in parser(iter(responses)) for row in batch.to_pylist()]
    found: dict[str, dict[str, str | None]] = {}
    for task in prompt.classifier.tasks:
        by_hash = {row["content_hash"]: row["label"] for row in rows if row["task"] == task.name}
        found[task.name] = {case: by_hash.get(key) for case, key in hashes.items()}
    return found


def plus(said: Said, responses: list[pa.RecordBatch], figures: Figures, labels: Labels) -> Said:
    """What was said, with one classifier's responses and the last figures of asking for them."""
    table = pa.Table.from_batches(responses, schema=tables.RESPONSES)
    return Said(
        {**said.labels, **labels},
        said.calls + _sum(table, "attempts"),
        said.input_tokens + _sum(table, "input_tokens"),
        said.cached_tokens + _sum(table, "cached_tokens"),
        said.output_tokens + _sum(table, "output_tokens"),
        said.seconds + (figures.seconds if figures.calls else 0.0),
        said.made + figures.calls,
    )


def _sum(table: pa.Table, column: str) -> int:
    return int(pc.sum(table.column(column)).as_py() or 0)


def require_answers(title: str, responses: list[pa.RecordBatch]) -> None:
    """Holds that nearly all were answered.

    Raises:
        EndpointError: Too many were not.
    """
    table = pa.Table.from_batches(responses, schema=tables.RESPONSES)
    unanswered = table.num_rows - _sum(table.append_column("ok", pc.equal(table["status"], "answered")), "ok")
    if unanswered > MOST_UNANSWERED * table.num_rows:
        raise EndpointError(
            f"{title}: {unanswered} of {table.num_rows} conversations got no answer, so nothing was judged; see: "
            "semtel check. The answers that came are kept for the next try"
        )

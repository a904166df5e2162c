"""The parse stage: from the answers about representatives to a label for every conversation and task.

Reading an answer is the parser's work, which is given as an argument; this stage only spreads its results.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import narwhals as nw
import pyarrow as pa

from semtel_dagster.engines.base import Engine, Frame
from semtel_dagster.tables import LABELS

UNANSWERED = "unanswered"
NO_RESPONSE = "no response"


class ResponseParser(Protocol):
    """What the stage needs of a parser: an Arrow function with its schema, tasks and fingerprint."""

    @property
    def schema(self) -> pa.Schema:
        """One row per content_hash and task, with the columns of tables.LABELS that an answer decides."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of tables.RESPONSES that it reads."""
        ...

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that every conversation gets a row for."""
        ...

    @property
    def fingerprint(self) -> str:
        """The parser's fingerprint, also for conversations without a response."""
        ...

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Parses batches of responses."""
        ...


def parse(responses: Frame, duplicate_groups: Frame, parser: ResponseParser, engine: Engine) -> Frame:
    """Labels of every conversation of a partition.

    Args:
        responses: tables.RESPONSES, at most one row per content_hash.
        duplicate_groups: tables.DUPLICATE_GROUPS, one row per conversation.
        parser: Reads raw answers, e.g. `labels.batches.ParseResponses(classifier)`.
        engine: Runs the parser.

    Returns:
        tables.LABELS: one row for every member of every group and every task, sorted by conversation_id and task. A
        group without a response is unanswered.
    """
    parsed = engine.map_batches(responses.select(*parser.columns), parser, parser.schema)
    tasks = engine.from_arrow(pa.table({"task": pa.array(parser.tasks, pa.large_string())}))
    members = duplicate_groups.select(
        "conversation_id",
        "user_id",
        "language",
        "stratum",
        "content_hash",
        nw.col("sampling_weight").alias("weight"),
    )
    labels = members.join(tasks, how="cross").join(parsed, on=["content_hash", "task"], how="left")
    missing = nw.col("label_status").is_null()
    # Two keys take three times as long, and one decides where there is one task.
    order = ("conversation_id", "task") if len(parser.tasks) > 1 else ("conversation_id",)
    return (
        labels.with_columns(
            label_status=nw.when(missing).then(nw.lit(UNANSWERED)).otherwise(nw.col("label_status")),
            reason=nw.when(missing).then(nw.lit(NO_RESPONSE)).otherwise(nw.col("reason")),
            parser_fingerprint=nw.lit(parser.fingerprint),
        )
        .select(*LABELS.names)
        .sort(*order)
    )

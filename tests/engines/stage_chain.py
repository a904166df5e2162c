"""The stages from source to shares as a chain of named steps over one storage, on whichever engine."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from semtel_dagster.embedding.embedded import EmbeddedProvider
from semtel_dagster.engines.base import Engine, Frame
from semtel_dagster.estimation.estimator import ShareEstimator
from semtel_dagster.labels.batches import ParseResponses
from semtel_dagster.settings import (
    AggregateSettings,
    DedupeSettings,
    SampleSettings,
    SourceSettings,
    Stratum,
    TruncateSettings,
)
from semtel_dagster.sources.weeks import ReadWeek
from semtel_dagster.stages import conversations
from semtel_dagster.stages.aggregate import aggregate
from semtel_dagster.stages.embed_dedupe import deduplicate, embed
from semtel_dagster.stages.parse import parse
from semtel_dagster.stages.sample import sample
from semtel_dagster.stages.truncate import truncate
from semtel_dagster.tables import RESPONSES
from tests.labels.builders import LEVEL, MOOD, TOPIC, classifier

WEEK = dt.date(2026, 11, 9)
CLASSIFIER = classifier(TOPIC, LEVEL, MOOD)
SAMPLE = SampleSettings(
    rate=0.9,
    per_week=100,
    max_per_user=3,
    strata=(Stratum(name="foreign", values=("zh", "de", "fr"), rate=1.0),),
    seed=7,
)
AGGREGATE = AggregateSettings(min_conversations=8, min_users=3, segments=("language", "stratum"))


@dataclass(frozen=True)
class Answer:
    """A model that answers by the content hash: some answers are dirty, some missing."""

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = [_response(content_hash) for content_hash in batch.column("content_hash").to_pylist()]
            yield pa.RecordBatch.from_pylist(rows, schema=RESPONSES)


def _response(content_hash: str) -> dict[str, object]:
    draw = int(content_hash[:8], 16)
    answered = draw % 11 != 0
    answer = {
        "topic": ["programming", "Coding ", "food", "travel", "cooking shows"][draw % 5],
        "level": ["novice", "medium", "expert", None][draw // 5 % 4],
        "mood": ["satisfied", "neutral", "not satisfied"][draw // 20 % 3],
        "mood_score": draw % 201 - 100,
    }
    return dict.fromkeys(RESPONSES.names) | {
        "content_hash": content_hash,
        "prompt_fingerprint": "f" * 16,
        "model": "by-hash",
        "endpoint": "here",
        "raw_text": json.dumps(answer)[: 40 if draw % 7 == 0 else None] if answered else None,
        "input_tokens": draw % 1000,
        "latency_s": draw / 7.0,
        "attempts": 1,
        "refusals": 0,
        "from_journal": False,
        "status": "answered" if answered else "failed",
        "error": None if answered else "timeout",
    }


def by_hash(distinct: Frame, engine: Engine) -> Frame:
    """The answers of `Answer`."""
    return engine.map_batches(distinct, Answer(), RESPONSES).sort("content_hash")


@dataclass(frozen=True)
class Chain:
    """The stages on an engine; what a stage needs is read from a storage, whichever engine wrote it.

    Attributes:
        engine: Runs the stages.
        source: A Parquet file of conversations.
        storage: Where the tables of earlier stages are.
        week: The partition.
        sampling: Which conversations are drawn.
        ask: The answers about distinct conversations.
    """

    engine: Engine
    source: Path
    storage: Path
    week: dt.date = WEEK
    sampling: SampleSettings = SAMPLE
    ask: Callable[[Frame, Engine], Frame] = by_hash

    def read(self, table: str) -> Frame:
        """A stored table."""
        return self.engine.scan([str(self.folder(table))])

    def folder(self, table: str) -> Path:
        """A table's partition of the week."""
        return self.storage / table / f"week={self.week}"

    def tables(self, stage: str) -> dict[str, Frame]:
        """The tables that a stage makes."""
        return {
            "conversations": self._conversations,
            "sample": lambda: {"sampled_conversations": sample(self.read("conversations"), self.sampling, self.engine)},
            "truncate": self._truncate,
            "embed": self._embed,
            "deduplicate": self._deduplicate,
            "classify": self._classify,
            "parse": self._parse,
            "aggregate": self._aggregate,
        }[stage]()

    def _conversations(self) -> dict[str, Frame]:
        found = conversations.read(ReadWeek(SourceSettings(path=str(self.source)), self.week), self.engine)
        return {"conversations": found.accepted, "rejected_conversations": found.rejected}

    def _truncate(self) -> dict[str, Frame]:
        options = TruncateSettings(max_tokens=400, max_message_tokens=150)
        return {"truncated_conversations": truncate(self.read("sampled_conversations"), options, self.engine)}

    def _embed(self) -> dict[str, Frame]:
        embedded = embed(self.read("truncated_conversations"), EmbeddedProvider, self.engine)
        return {"conversation_embeddings": embedded}

    def _deduplicate(self) -> dict[str, Frame]:
        truncated, embeddings = self.read("truncated_conversations"), self.read("conversation_embeddings")
        found = deduplicate(truncated, embeddings, DedupeSettings(threshold=0.8), self.engine)
        return {"distinct_conversations": found.distinct, "duplicate_groups": found.groups}

    def _classify(self) -> dict[str, Frame]:
        return {"responses": self.ask(self.read("distinct_conversations"), self.engine)}

    def _parse(self) -> dict[str, Frame]:
        parser = ParseResponses(CLASSIFIER)
        return {"labels": parse(self.read("responses"), self.read("duplicate_groups"), parser, self.engine)}

    def _aggregate(self) -> dict[str, Frame]:
        estimator = ShareEstimator(AGGREGATE, CLASSIFIER.tasks)
        return {"label_shares": aggregate(self.read("labels"), AGGREGATE, self.engine, estimator)}

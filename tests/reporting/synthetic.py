"""A small made-up dataset in the layout, with the tables that a report reads."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import narwhals as nw
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from semtel_dagster import tables
from semtel_dagster.classifiers import Classifier, CompiledPrompt, Label, Score, Task
from semtel_dagster.datasets import partition_folder
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.estimation.estimator import ShareEstimator
from semtel_dagster.settings import AggregateSettings
from semtel_dagster.stages.aggregate import aggregate

FIRST_WEEK = dt.date(2026, 10, 5)
SECRET = "my grandmother's recipe for Zwetschgenknödel"

TOPICS = (
    "programming", "data and statistics", "technology help", "mathematics", "science", "engineering", "health",
    "relationships", "food", "business", "marketing", "finance", "law and government", "careers", "education",
    "language", "writing help", "fiction", "art and design", "entertainment", "travel", "home and shopping",
    "history and society", "philosophy and religion", "small talk", "other",
)  # fmt: skip
LEVELS = ("novice", "beginner", "intermediate", "proficient", "expert")


def task(name: str, labels: Sequence[str], *, ordinal: bool = False, score: bool = False) -> Task:
    return Task(
        name=name,
        question=f"What is the {name}?",
        labels=tuple(Label(name=label, definition=f"It is {label}.") for label in labels),
        ordinal=ordinal,
        score=Score(field=f"{name}_score", minimum=-100, maximum=100) if score else None,
    )


def prompt(name: str, *tasks: Task) -> CompiledPrompt:
    return CompiledPrompt(
        Classifier(name=name, description=f"Tells the {name} of a conversation.", tasks=tasks),
        (),
        {},
        {},
        "f" * 16,
        300,
    )


SATISFACTION = task("satisfaction", ("dissatisfied", "neutral", "satisfied"), ordinal=True, score=True)
PROMPTS: dict[str, CompiledPrompt] = {
    "expertise": prompt(
        "expertise",
        task("user_expertise", LEVELS, ordinal=True),
        task("assistant_expertise", LEVELS, ordinal=True),
    ),
    "satisfaction": prompt("satisfaction", SATISFACTION),
    "topic": prompt("topic", task("topic", TOPICS)),
}


@dataclass(frozen=True)
class Synthetic:
    """What to make; every week is drawn from its own seed."""

    weeks: int = 4
    conversations: int = 400
    prompts: Mapping[str, CompiledPrompt] = field(default_factory=lambda: PROMPTS)
    options: AggregateSettings = field(default_factory=AggregateSettings)
    endpoint: str = "embedded"
    seed: int = 0

    def write(self, storage: Path) -> list[dt.date]:
        """Writes all tables and gives the weeks."""
        weeks = [FIRST_WEEK + dt.timedelta(weeks=number) for number in range(self.weeks)]
        for number, week in enumerate(weeks):
            self._write_week(str(storage), week, number)
        return weeks

    def _write_week(self, storage: str, week: dt.date, number: int) -> None:
        draw = random.Random(f"{self.seed}-{number}")
        rows = [_conversation(draw, week, index) for index in range(self.conversations + 25 * number)]
        write(storage, "conversations", week, rows, tables.CONVERSATIONS)
        write(storage, "sampled_conversations", week, rows, tables.SAMPLED_CONVERSATIONS)
        write(storage, "truncated_conversations", week, rows, tables.TRUNCATED_CONVERSATIONS)
        rejected = [{"source": "a.jsonl", "position": i, "reason": r, "undated": r == "no time"} for i, r in
                    enumerate(["duplicate id"] * (3 + number) + ["no user message"] * 2 + ["no time"])]  # fmt: skip
        write(storage, "rejected_conversations", week, rejected, tables.REJECTED_CONVERSATIONS)
        groups = [row | {"kind": _kind(place)} for place, row in enumerate(rows, start=1)]
        write(storage, "duplicate_groups", week, groups, tables.DUPLICATE_GROUPS)
        distinct = [row | {"group_size": 1} for row in groups if row["kind"] == "representative"]
        write(storage, "distinct_conversations", week, distinct, tables.DISTINCT_CONVERSATIONS)
        for name, compiled in self.prompts.items():
            self._write_classifier(storage, week, number, name, compiled, rows, distinct)

    def _write_classifier(self, storage, week, number, name, compiled, rows, distinct) -> None:
        draw = random.Random(f"{self.seed}-{number}-{name}")
        responses = [
            row | {"model": "wordllama-256", "endpoint": self.endpoint, "input_tokens": 900, "cached_tokens": 300,
                   "output_tokens": 12, "attempts": 0 if i % 10 == 0 else 1 + (i % 40 == 1) + (i % 60 == 2),
                   "refusals": int(i % 60 == 2), "from_journal": i % 10 == 0,
                   "status": "failed" if i % 50 == 3 else "answered"}
            for i, row in enumerate(distinct)
        ]  # fmt: skip
        write(storage, "responses", week, responses, tables.RESPONSES, name)
        labels = [_label(draw, row, one, number) for row in rows for one in compiled.classifier.tasks]
        write(storage, "labels", week, labels, tables.LABELS, name)
        frame = nw.from_native(pl.DataFrame(pa.Table.from_pylist(labels, schema=tables.LABELS)).lazy())
        estimator = ShareEstimator(self.options, compiled.classifier.tasks)
        shares = nw.to_native(aggregate(frame, self.options, PolarsEngine(), estimator)).collect().to_arrow()
        write(storage, "label_shares", week, shares.to_pylist(), tables.LABEL_SHARES, name)


def write(storage, asset, week, rows, schema, classifier=None) -> None:
    folder = partition_folder(storage, asset, week.isoformat(), classifier)
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "part-0.parquet")


def _conversation(draw: random.Random, week: dt.date, index: int) -> dict:
    started = dt.datetime.combine(week, dt.time(9), dt.UTC) + dt.timedelta(minutes=index * 11)
    name = f"{week:%m%d}-{index:05}"
    return {
        "conversation_id": name, "user_id": None if index % 31 == 0 else f"u{int(draw.paretovariate(0.7)) % 90:02}",
        "started_at": started, "language": draw.choice(["en"] * 7 + ["de", "zh", None]),
        "messages": [{"role": "user", "content": SECRET}], "text": f"user:\n> {SECRET}", "content_hash": f"h{name}",
        "stratum": "all", "inclusion_probability": 1.0, "sampling_weight": 1.0, "n_turns": 3, "n_tokens": 700,
        "n_tokens_before": 700 if index % 5 else 2600, "truncation": "none" if index % 5 else "head_tail",
    }  # fmt: skip


def _kind(place: int) -> str:
    return "exact" if place % 17 == 0 else "near" if place % 23 == 0 else "representative"


def _label(draw: random.Random, row: dict, one: Task, week: int) -> dict:
    fate = draw.random()
    status = "unanswered" if fate < 0.01 else "invalid" if fate < 0.025 else "exact"
    names = [label.name for label in one.labels]
    middle = (len(names) - 1) / 2
    weights = [2 + week * (place > middle) - abs(place - middle) / 2 if one.ordinal else 1 / (1 + place) ** 1.1
               for place in range(len(names))]  # fmt: skip
    label = draw.choices(names, [max(weight, 0.1) for weight in weights])[0]
    score = (names.index(label) - middle) * 60 + draw.randrange(-15, 15) if one.score and status == "exact" else None
    return row | {
        "task": one.name, "label": label if status == "exact" else None, "label_status": status, "weight": 1.0,
        "score": score, "prompt_fingerprint": "f" * 16, "model": "wordllama-256",
    }  # fmt: skip

"""The work that benchmarks/scale.py measures: each stage as the assets run it, over tables on disk.

Only the model is left out: responses are made up from each content hash, as many and as dirty as a model's. The
hand-written queries of the same work are in scale_peers.py.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import narwhals as nw
import polars as pl

from semtel_dagster.datasets import partition_folder, replaced_folder
from semtel_dagster.engines.base import Frame
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.estimation.estimator import ShareEstimator
from semtel_dagster.labels.batches import ParseResponses
from semtel_dagster.prompts.loader import load_classifiers
from semtel_dagster.settings import AggregateSettings, DedupeSettings, SampleSettings, SourceSettings, TruncateSettings
from semtel_dagster.sources.weeks import ReadWeek
from semtel_dagster.stages import conversations
from semtel_dagster.stages.aggregate import aggregate
from semtel_dagster.stages.embed_dedupe import deduplicate
from semtel_dagster.stages.parse import parse
from semtel_dagster.stages.sample import sample
from semtel_dagster.stages.truncate import truncate
from semtel_dagster.tables import RESPONSES

WEEK = dt.date(2026, 9, 21)
NAME = "satisfaction"
CLASSIFIER = load_classifiers(names=[NAME])[NAME].classifier
SAMPLE = SampleSettings(rate=0.9, seed=3)
TRUNCATE = TruncateSettings()
AGGREGATE = AggregateSettings(segments=("language",))
ENGINE = PolarsEngine()


def table_folder(work: Path, table: str) -> Path:
    by_classifier = table in {"responses", "labels", "label_shares"}
    return partition_folder(str(work / "tables"), table, str(WEEK), NAME if by_classifier else None)


def read(work: Path, table: str) -> Frame:
    return ENGINE.scan([str(table_folder(work, table))])


def write(work: Path, **frames: Frame) -> None:
    for table, frame in frames.items():
        with replaced_folder(table_folder(work, table), work / "tables") as staging:
            ENGINE.write(frame, str(staging))


def read_source(work: Path) -> None:
    found = conversations.read(ReadWeek(SourceSettings(path=str(work / "source")), WEEK), ENGINE)
    write(work, conversations=found.accepted, rejected_conversations=found.rejected)


def take_sample(work: Path) -> None:
    write(work, sampled_conversations=sample(read(work, "conversations"), SAMPLE, ENGINE))


def cut(work: Path) -> None:
    write(work, truncated_conversations=truncate(read(work, "sampled_conversations"), TRUNCATE, ENGINE))


def group(work: Path) -> None:
    """Exact duplicates; near ones are measured by near_duplicates.py."""
    found = deduplicate(read(work, "truncated_conversations"), None, DedupeSettings(embedding="none"), ENGINE)
    write(work, distinct_conversations=found.distinct, duplicate_groups=found.groups)


def answer(work: Path) -> None:
    """Answers as models give them: most as asked, one in twenty wrapped in talk, one in fifty missing."""
    scores = range(-100, 101)
    labels = [label.name for label in CLASSIFIER.tasks[0].labels]
    asked = [json.dumps({NAME: label, f"{NAME}_score": score}) for label in labels for score in scores]
    texts = pl.Series([*asked, *(f"Sure, here is my answer.\n```json\n{text}\n```" for text in asked)])
    rows = nw.to_native(read(work, "distinct_conversations")).select("content_hash").collect()
    draw = rows["content_hash"].str.slice(0, 8).str.to_integer(base=16, dtype=pl.Int64)
    failed = draw % 50 == 0
    made = rows.with_columns(
        raw_text=texts.gather(draw // 50 % len(asked) + (draw % 20 == 1).cast(pl.Int64) * len(asked)),
        prompt_fingerprint=pl.lit("f" * 16),
        model=pl.lit("made-up"),
        endpoint=pl.lit("here"),
        attempts=pl.lit(1),
        refusals=pl.lit(0),
        from_journal=pl.lit(False),
        status=pl.when(failed).then(pl.lit("failed")).otherwise(pl.lit("answered")),
        error=pl.when(failed).then(pl.lit("timeout")),
    ).with_columns(raw_text=pl.when(~failed).then("raw_text"))
    schema = pl.DataFrame(RESPONSES.empty_table()).schema
    columns = [
        (pl.col(name) if name in made.columns else pl.lit(None)).cast(schema[name]).alias(name) for name in schema
    ]
    write(work, responses=nw.from_native(made.lazy().select(columns)))


def label(work: Path) -> None:
    parser = ParseResponses(CLASSIFIER)
    write(work, labels=parse(read(work, "responses"), read(work, "duplicate_groups"), parser, ENGINE))


def share(work: Path) -> None:
    estimator = ShareEstimator(AGGREGATE, CLASSIFIER.tasks)
    write(work, label_shares=aggregate(read(work, "labels"), AGGREGATE, ENGINE, estimator))


RUNS: dict[str, Callable[[Path], None]] = {
    "conversations": read_source,
    "sample": take_sample,
    "truncate": cut,
    "deduplicate": group,
    "answers": answer,
    "parse": label,
    "aggregate": share,
}

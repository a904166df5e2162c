"""What a language model shortens is the same on every engine, however the rows are cut into batches."""

from __future__ import annotations

import narwhals as nw
import pyarrow as pa
import pytest

from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.reducers import CompressSettings
from semtel_dagster.settings import SampleSettings, TruncateSettings
from semtel_dagster.stages.sample import sample
from semtel_dagster.stages.truncate import truncate
from semtel_dagster.tables import CONVERSATIONS, WAS_COMPRESSED, WAS_CUT
from tests.stages.builders import conversation
from tests.surprisal_models import smollm2

SAID = [
    "My garden hose leaks beside the tap.",
    "One two three four five six seven eight nine ten eleven twelve.",
    "The zookeeper pawned eleven accordions on {number} Mondays.",
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday.",
]
ROWS = [
    conversation(number, messages=[{"role": "user", "content": " ".join(SAID[: 1 + number % 4]).format(number=number)}])
    for number in range(8)
]


def rows_by(engine):
    compress = CompressSettings(
        lossless=True,  # type: ignore[arg-type]
        perplexity={"model": smollm2(), "keep": 0.6, "min_tokens": 0, "end_tokens": 0},  # type: ignore[arg-type]
    )
    sampled = sample(engine.from_arrow(pa.Table.from_pylist(ROWS, schema=CONVERSATIONS)), SampleSettings(), engine)
    found = truncate(sampled, TruncateSettings(max_tokens=40), engine, compress)
    rows = found.select(nw.exclude("started_at")).collect(backend="pyarrow").rows(named=True)
    return sorted(rows, key=lambda row: row["conversation_id"])


@pytest.mark.slow
def test_the_engines_agree_on_what_could_be_guessed(engine):
    rows = rows_by(engine)
    assert rows == rows_by(PolarsEngine())
    assert {row["truncation"] for row in rows} == {"none", "perplexity"}


def test_patterns_tell_it_from_what_was_cut():
    done = nw.from_native(pa.table({"truncation": ["perplexity+head_tail", "code+perplexity", "head_tail", "none"]}))
    found = done.select(
        cut=nw.col("truncation").str.contains(WAS_CUT), short=nw.col("truncation").str.contains(WAS_COMPRESSED)
    )
    assert found.to_dict(as_series=False) == {"cut": [True, False, True, False], "short": [True, True, False, False]}

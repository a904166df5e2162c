"""Compression by rule gives the same table on every engine; what is boilerplate is counted over all rows."""

from __future__ import annotations

import narwhals as nw
import pyarrow as pa

from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.reducers import CompressSettings
from semtel_dagster.settings import SampleSettings, TruncateSettings
from semtel_dagster.stages.sample import sample
from semtel_dagster.stages.truncate import truncate
from semtel_dagster.tables import CONVERSATIONS, WAS_COMPRESSED, WAS_CUT
from tests.stages.builders import conversation

SYSTEM = {"role": "system", "content": "You are the assistant of a shop for garden tools. Be kind and short. " * 3}


def turns(number):
    code = "\n".join(f"line {line}   = {line}" for line in range(number, number + 40))
    said = [
        {"role": "user", "content": "why  ? " * number},
        {"role": "assistant", "content": f"```python\n{code}\n```"},
    ]
    return [SYSTEM, *said] if number % 3 else said


ROWS = [conversation(number, messages=turns(number)) for number in range(90)]
COMPRESS = CompressSettings(lossless=True)  # type: ignore[arg-type]


def rows_by(engine):
    sampled = sample(engine.from_arrow(pa.Table.from_pylist(ROWS, schema=CONVERSATIONS)), SampleSettings(), engine)
    found = truncate(sampled, TruncateSettings(max_tokens=300), engine, COMPRESS)
    rows = found.select(nw.exclude("started_at")).collect(backend="pyarrow").rows(named=True)
    return sorted(rows, key=lambda row: row["conversation_id"])


def test_the_engines_agree_on_what_is_shortened(engine):
    rows = rows_by(engine)
    assert rows == rows_by(PolarsEngine())
    assert {row["truncation"] for row in rows} >= {"boilerplate+code+white_space", "code+white_space"}


def test_patterns_tell_what_was_shortened_from_what_was_cut():
    engine = PolarsEngine()
    sampled = sample(engine.from_arrow(pa.Table.from_pylist(ROWS, schema=CONVERSATIONS)), SampleSettings(), engine)
    found = truncate(sampled, TruncateSettings(max_tokens=300), engine, COMPRESS)
    counts = found.select(
        cut=nw.col("truncation").str.contains(WAS_CUT).cast(nw.Int64).sum(),
        compressed=nw.col("truncation").str.contains(WAS_COMPRESSED).cast(nw.Int64).sum(),
        both=nw.col("truncation").str.contains(r"\+head_tail$").cast(nw.Int64).sum(),
    )
    ((cut, compressed, both),) = counts.collect(backend="pyarrow").rows()
    assert 0 < cut == both < compressed == len(ROWS)

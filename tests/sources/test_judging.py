"""Judging by whole columns gives what judging row by row gives: the same rows, reasons and order."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.settings import SourceSettings
from semtel_dagster.sources import judging
from semtel_dagster.sources.weeks import ReadWeek
from semtel_dagster.tables import MESSAGES

WEEK = dt.date(2026, 11, 9)
GOOD_ROLES = ("user", "assistant", "Human", " gpt ", "SYSTEM")
SOURCE = pa.schema(
    [
        ("conversation_id", pa.string()),
        ("user_id", pa.large_string()),
        ("started_at", pa.timestamp("us", tz="UTC")),
        ("language", pa.string()),
        ("model", pa.string()),
        ("messages", MESSAGES),
    ]
)


def row(conversation_id="c1", *turns, **fields):
    said = turns or (("user", "hello"), ("assistant", "hi"))
    return {
        "conversation_id": conversation_id,
        "user_id": "u1",
        "started_at": dt.datetime(2026, 11, 10, tzinfo=dt.UTC),
        "language": "en",
        "model": "m",
        "messages": [{"role": role, "content": content} for role, content in said],
    } | fields


def read(path, **source):
    options = SourceSettings(path=str(path), **source)
    return pa.Table.from_batches(ReadWeek(options, WEEK)(), schema=ReadWeek(options, WEEK).schema)


def row_by_row(path, **source):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "judge", lambda *_: None)
        return read(path, **source)


def stored(folder, rows, schema=SOURCE, **options):
    path = folder / "log.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, **options)
    return path


def test_good_rows_never_become_python_values(tmp_path, monkeypatch):
    monkeypatch.setattr(judging.Chunk, "records", lambda _: pytest.fail("rows were judged one by one"))
    monkeypatch.setattr(judging, "_judged_alone", lambda *_: pytest.fail("a row was judged alone"))
    assert read(stored(tmp_path, [row(f"c{n}") for n in range(2000)])).num_rows == 2000


@pytest.mark.parametrize(
    "odd",
    [
        row("c1"),
        row(" padded "),
        row("nul\0"),
        row("ключ"),
        row(None),
        row("x" * 600),
        row("b", user_id=" "),
        row("b", user_id=None, language=None, model=None),
        row("b", started_at=None),
        row("b", started_at=dt.datetime(1999, 1, 1, tzinfo=dt.UTC)),
        row("b", started_at=dt.datetime(2026, 11, 2, tzinfo=dt.UTC)),
        row("b", messages=None),
        row("b", messages=[]),
        row("b", messages=[None]),
        row("b", ("user", None)),
        row("b", (None, "text")),
        row("b", ("narrator", "text")),
        row("b", ("assistant", "only")),
        row("b", ("user", " \u3000\x1f "), ("user", "text")),
        row("b", ("user", "你好"), ("assistant", "\n\nsaid")),
        row("b", ("user", "nul \0 inside")),
        row("b", ("user", "x" * 2000)),
        row("b", ("user", "é" * 600)),
    ],
    ids=lambda odd: None,
)
def test_an_odd_row_among_good_ones_is_judged_as_alone(tmp_path, odd):
    path = stored(tmp_path, [row("c1"), row("c2"), odd, row("c3"), row("c4"), row("c5"), row("c6")])
    found = read(path, max_message_bytes=1000)
    assert found.to_pylist() == row_by_row(path, max_message_bytes=1000).to_pylist()
    assert found.num_rows >= 6


def test_of_rows_with_one_id_the_first_good_one_stays_however_each_is_judged(tmp_path):
    rows = [row("a", messages=None), row("a", ("user", "\0")), row("a"), row("b"), row("b"), row("c"), row("d")]
    found = read(stored(tmp_path, rows)).select(["position", "conversation_id", "reason"]).to_pylist()
    assert [each["reason"] for each in found] == [
        "missing_field", None, "duplicate_id", None, "duplicate_id", None, None,
    ]  # fmt: skip
    assert [each["position"] for each in found] == list(range(1, 8))


def test_times_without_a_zone_and_finer_than_microseconds_are_read_as_row_by_row(tmp_path):
    times = [dt.datetime(2026, 11, 9), dt.datetime(2026, 11, 15, 23, 59, 59, 999_999), dt.datetime(2026, 11, 16)]
    for kind in (pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("ms", tz="Europe/Berlin")):
        schema = SOURCE.set(SOURCE.names.index("started_at"), pa.field("started_at", kind))
        path = stored(tmp_path, [row(f"c{n}", started_at=at) for n, at in enumerate(times)], schema)
        assert read(path).to_pylist() == row_by_row(path).to_pylist()


def test_columns_of_other_names_and_types_are_read_as_row_by_row(tmp_path):
    said = pa.list_(pa.struct([("from", pa.string()), ("value", pa.string()), ("at", pa.int64())]))
    for key, id_type in (("text", pa.string()), ("number", pa.int64())):
        schema = pa.schema([("id", id_type), ("started_at", pa.timestamp("us")), ("conversations", said)])
        ids = ["1", "2", "3"] if key == "text" else [1, 2, 3]
        turns = [{"from": "human", "value": "hello", "at": 1}, {"from": "gpt", "value": "hi", "at": 2}]
        rows = [{"id": each, "started_at": dt.datetime(2026, 11, 10), "conversations": turns} for each in ids]
        path = stored(tmp_path, rows, schema)
        found = read(path, format="sharegpt").to_pylist()
        assert found == row_by_row(path, format="sharegpt").to_pylist()
        assert [each["conversation_id"] for each in found] == ["1", "2", "3"]


texts = st.one_of(st.none(), st.sampled_from(["", " ", "hello", "\0", "\u3000", "é"]), st.text(max_size=12))
turns = st.lists(
    st.tuples(st.one_of(st.none(), st.sampled_from([*GOOD_ROLES, "narrator"])), texts), min_size=1, max_size=4
)
moments = st.one_of(st.none(), st.datetimes(dt.datetime(2026, 11, 8), dt.datetime(2026, 11, 18)))
ids = st.one_of(st.none(), st.sampled_from(["a", "b", " a", "a\0", "ü"]), st.text(max_size=4))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(ids, ids, moments, turns), min_size=1, max_size=12), st.integers(1, 12))
def test_whatever_the_rows_both_ways_agree(tmp_path_factory, drawn, group):
    rows = [
        row(key, *said, user_id=user, started_at=None if at is None else at.replace(tzinfo=dt.UTC))
        for key, user, at, said in drawn
    ]
    good = [row(f"good-{n}") for n in range(len(rows) + 1)]
    mixed = [each for pair in zip(good, rows, strict=False) for each in pair]
    path = stored(tmp_path_factory.mktemp("rows"), mixed, row_group_size=group)
    assert read(path).to_pylist() == row_by_row(path).to_pylist()

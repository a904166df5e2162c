import datetime as dt
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semtel_dagster.sources import arrow_records
from semtel_dagster.sources.arrow_records import parquet_rows
from semtel_dagster.sources.rules import Rejection

START = dt.datetime(2026, 11, 9, tzinfo=dt.UTC)
WEEK = (START, START + dt.timedelta(days=7))


def hours(*offsets):
    return [None if offset is None else START + dt.timedelta(hours=offset) for offset in offsets]


def parquet(row_group_size=2, **columns):
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, row_group_size=row_group_size)
    stream.seek(0)
    return stream


def positions(stream, columns=("started_at",)):
    return [position for position, _ in parquet_rows(stream, columns, WEEK)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_only_rows_of_the_week_are_read_and_keep_their_position(unit, zone):
    times = pa.array(hours(-400, -300, -1, 0, 167, 168, 400, 500), pa.timestamp("us", "UTC"))
    column = times.cast(pa.timestamp(unit, zone))
    assert positions(parquet(started_at=column)) == [4, 5]


def test_rows_without_a_usable_time_are_read_in_every_week():
    column = pa.array([*hours(-400, None, 1), dt.datetime(1970, 1, 1, tzinfo=dt.UTC)], pa.timestamp("us", "UTC"))
    assert positions(parquet(started_at=column)) == [2, 3, 4]
    assert positions(parquet(started_at=pa.array(["2020-01-01", "2026-11-10"]))) == [1, 2]
    assert positions(parquet(other=pa.array([1, 2]))) == [1, 2]


def test_row_groups_of_other_weeks_are_not_read(monkeypatch):
    read = []
    monkeypatch.setattr(arrow_records, "_numbered", lambda batches, first, *_: read.append(first) or iter(()))
    column = pa.array(hours(-400, -300, -2, 1, 200, 300, 400, None), pa.timestamp("us", "UTC"))
    positions(parquet(started_at=column))
    assert read == [2, 6]


def test_the_first_time_column_present_counts():
    column = pa.array(hours(1, 400), pa.timestamp("us", "UTC"))
    assert positions(parquet(at=column), columns=("when", "at")) == [1]


def test_only_the_time_column_is_read_for_a_count():
    column = pa.array(hours(1), pa.timestamp("us", "UTC"))
    rows = list(parquet_rows(parquet(started_at=column, text=["secret"]), ("started_at",), WEEK, only_times=True))
    assert rows == [(1, {"started_at": hours(1)[0]})]


def test_nanoseconds_are_cut_in_nested_fields_too():
    when = pa.array([1794297600_000_000_001], pa.timestamp("ns", "UTC"))
    nested = pa.array([[{"t": 1794297600_000_000_001}]], pa.list_(pa.struct([("t", pa.timestamp("ns"))])))
    ((_, row),) = parquet_rows(parquet(started_at=when, nested=nested), ("started_at",), WEEK)
    assert row["started_at"] == dt.datetime(2026, 11, 10, 8, tzinfo=dt.UTC)
    assert row["nested"] == [{"t": dt.datetime(2026, 11, 10, 8)}]


@pytest.mark.parametrize("keep", [0, 3, 4, 100, -8, -1])
def test_a_half_written_file_is_a_rejection(keep):
    data = parquet(started_at=pa.array(hours(1, 2, 3), pa.timestamp("us", "UTC"))).getvalue()
    with pytest.raises(Rejection) as caught:
        positions(io.BytesIO(data[:keep]))
    assert caught.value.reason == "unreadable_file"

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.sources.rules import Rejection
from semtel_dagster.sources.times import EARLIEST, LATEST, monday, parse_time

EIGHT = dt.datetime(2026, 11, 10, 8, 0, tzinfo=dt.UTC)
OFFSETS = st.integers(-12 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
MOMENTS = st.datetimes(dt.datetime(2001, 1, 1), dt.datetime(2099, 1, 1), timezones=OFFSETS)


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-10T08:00:00Z",
        "2026-11-10T08:00:00",
        " 2026-11-10 08:00:00 UTC ",
        "2026-11-10T10:00:00+02:00",
        "20261110T080000Z",
        dt.datetime(2026, 11, 10, 8, 0),
        dt.datetime(2026, 11, 10, 3, 0, tzinfo=dt.timezone(dt.timedelta(hours=-5))),
        1794297600,
        1794297600.0,
        1794297600_000,
        1794297600_000_000,
        1794297600_000_000_000,
        "1794297600",
        "1794297600.0",
    ],
)
def test_every_common_form_of_a_time_is_read_as_utc(value):
    assert parse_time(value) == EIGHT
    assert parse_time(value).utcoffset() == dt.timedelta()


@pytest.mark.parametrize("value", ["2026-11-10", dt.date(2026, 11, 10)])
def test_a_date_is_its_midnight(value):
    assert parse_time(value) == dt.datetime(2026, 11, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing_time"),
        ("  ", "missing_time"),
        ("last Tuesday", "unparseable_time"),
        ("2026-13-01", "unparseable_time"),
        (float("nan"), "unparseable_time"),
        (10**30, "unparseable_time"),
        (True, "wrong_type"),
        (["2026-11-10"], "wrong_type"),
        (0, "time_out_of_range"),
        ("1970-01-01T00:00:00Z", "time_out_of_range"),
        ("9999-12-31T23:59:59+00:00", "time_out_of_range"),
        ("9999-12-31T23:59:59-10:00", "unparseable_time"),
    ],
)
def test_what_is_no_usable_time_has_a_reason(value, reason):
    with pytest.raises(Rejection) as caught:
        parse_time(value)
    assert caught.value.reason == reason
    assert "Tuesday" not in caught.value.detail


@given(MOMENTS)
@settings(deadline=None)
def test_a_time_written_as_text_is_read_back(moment):
    assert parse_time(moment.isoformat()) == moment
    assert EARLIEST <= parse_time(moment) < LATEST


@given(MOMENTS)
@settings(deadline=None)
def test_a_moment_lies_in_the_week_of_its_monday(moment):
    start = dt.datetime.combine(monday(moment), dt.time(), dt.UTC)
    assert start.weekday() == 0
    assert start <= moment < start + dt.timedelta(days=7)

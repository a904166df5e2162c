"""When a conversation started: reading a time in any common form, and the week it falls in.

The rules: a time without a zone is UTC; a date is its midnight in UTC; a number is seconds since 1970, or
milli-, micro- or nanoseconds if it is too large for that. Other fields belong in `validate`.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any

from semtel_dagster.sources.rules import Rejection, type_name

EARLIEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
LATEST = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EPOCH_TEXT = re.compile(r"[0-9]{9,19}(\.[0-9]+)?")
_EPOCH_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (math.inf, 1e9))


def parse_time(value: Any) -> dt.datetime:
    """Reads a time as an aware datetime in UTC.

    Args:
        value: A datetime, a date, ISO 8601 text, or a number (or its digits) since 1970.

    Raises:
        Rejection: missing_time, unparseable_time, wrong_type or time_out_of_range.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        raise Rejection("missing_time", "started_at")
    try:
        moment = _read(value)
    except (ValueError, OverflowError):
        raise Rejection("unparseable_time", f"started_at: {type_name(value)}") from None
    if not EARLIEST <= moment < LATEST:
        raise Rejection("time_out_of_range", f"started_at in the year {moment.year}")
    return moment


def monday(moment: dt.datetime) -> dt.date:
    """The Monday of a moment's week, in UTC."""
    day = moment.astimezone(dt.UTC).date()
    return day - dt.timedelta(days=day.weekday())


def _read(value: Any) -> dt.datetime:
    if isinstance(value, str):
        return _read_text(value.strip())
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _read_number(value)
    raise Rejection("wrong_type", f"started_at: {type_name(value)}")


def _read_text(text: str) -> dt.datetime:
    if _EPOCH_TEXT.fullmatch(text):
        return _read_number(float(text) if "." in text else int(text))
    iso = text.removesuffix(" UTC") + "Z" if text.endswith(" UTC") else text
    return _read(dt.datetime.fromisoformat(iso))


def _read_number(number: float) -> dt.datetime:
    if not math.isfinite(number):
        raise ValueError("not finite")
    per_second = next(unit for limit, unit in _EPOCH_UNITS if abs(number) < limit)
    return _EPOCH + dt.timedelta(seconds=number / per_second)

"""Small frames for the stages: conversations with one thing changed, and the rows of a frame."""

import datetime as dt
from typing import Any

import narwhals as nw
import pyarrow as pa

from semtel_dagster.engines.base import Frame
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.settings import SourceSettings
from semtel_dagster.sources.weeks import ReadWeek
from semtel_dagster.stages.conversations import read
from semtel_dagster.tables import CONVERSATIONS
from tests.shared_data import shared_file

ENGINE = PolarsEngine()
WEEK = dt.date(2026, 11, 9)


def conversation(number: int, **changes: Any) -> dict[str, Any]:
    """A row of the conversations table with some fields changed."""
    return {
        "conversation_id": f"c{number:05}",
        "user_id": f"u{number}",
        "started_at": dt.datetime(2026, 11, 9, tzinfo=dt.UTC) + dt.timedelta(minutes=number),
        "language": "en",
        "messages": [{"role": "user", "content": f"question {number}"}, {"role": "assistant", "content": "answer"}],
        "extra": None,
    } | changes


def frame(rows: list[dict[str, Any]]) -> Frame:
    """A frame of the conversations table."""
    return ENGINE.from_arrow(pa.Table.from_pylist(rows, schema=CONVERSATIONS))


def rows_of(result: Frame) -> list[dict[str, Any]]:
    """A frame's rows."""
    return list(table_of(result).to_pylist())


def table_of(result: Frame) -> pa.Table:
    """A frame as an Arrow table."""
    return nw.to_native(result).collect().to_arrow()


def real_week(name: str) -> Frame:
    """A week of real conversations in memory; skips the test where they are absent."""
    source = SourceSettings(path=str(shared_file(f"{name}/conversations.parquet")))
    return ENGINE.from_arrow(table_of(read(ReadWeek(source, WEEK), ENGINE).accepted))

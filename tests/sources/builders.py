"""Small sources to read from: rows with one thing changed, and what comes out of a week."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

from semtel_dagster.settings import SourceSettings
from semtel_dagster.sources.weeks import ReadWeek

WEEK = dt.date(2026, 11, 9)
MESSAGES = [{"role": "user", "content": "What is a lens?"}, {"role": "assistant", "content": "A curved glass."}]


def row(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A good row of the contract, with some fields changed; a field set to ... is left out."""
    good = {
        "conversation_id": f"c{number}",
        "user_id": "u1",
        "started_at": "2026-11-10T08:00:00Z",
        "language": "en",
        "messages": MESSAGES,
    }
    return {name: value for name, value in (good | changes).items() if value is not ...}


def write_lines(path: Path, rows: list[Any]) -> Path:
    """Writes JSON lines."""
    path.write_text("".join(json.dumps(item) + "\n" for item in rows), encoding="utf-8")
    return path


def read_week(path: Path | str, week: dt.date = WEEK, **settings: Any) -> list[dict[str, Any]]:
    """The rows of a source's week, good and bad."""
    reader = ReadWeek(SourceSettings(path=str(path), **settings), week)
    return [item for batch in reader() for item in batch.to_pylist()]


def reasons(rows: list[dict[str, Any]]) -> list[str | None]:
    """Each row's reason, None for a good one."""
    return [item["reason"] for item in rows]

"""A week in a few lines, for a chat room: the largest published shares and how many conversations they stand for.

Published shares only, so that no suppressed cell leaves. Pages belong in `report`, terminal tables in `console`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from semtel_dagster.reporting.frames import stored_classifiers
from semtel_dagster.reporting.shares import ALL, ShareRow, read_shares
from semtel_dagster.reporting.wording import points

MOST_LABELS = 3


def weekly_summary(storage: str, week: dt.date) -> dict[str, Any]:
    """A document with `text` (what most chat rooms show), `week` and `shares`.

    Args:
        storage: Root of the dataset layout.
        week: The Monday.
    """
    lines = [f"Week of {week.isoformat()}"]
    published: list[dict[str, Any]] = []
    for classifier in stored_classifiers(storage, "label_shares", week):
        now = read_shares(storage, week, classifier)
        before = {row.key: row for row in read_shares(storage, week - dt.timedelta(days=7), classifier)
                  if row.segment == ALL and not row.suppressed}  # fmt: skip
        for task in dict.fromkeys(row.task for row in now):
            largest = _largest([row for row in now if row.task == task])
            if largest:
                lines.append(f"{task}: " + ", ".join(_words(row, before.get(row.key)) for row in largest))
            published += [
                {"classifier": classifier, "task": task, "label": row.label, "share": row.share, "n": row.n}
                for row in largest
            ]
    return {"text": "\n".join(lines), "week": week.isoformat(), "shares": published}


def _largest(rows: list[ShareRow]) -> list[ShareRow]:
    shown = [row for row in rows if row.segment == ALL and not row.suppressed and not row.label.startswith("(")]
    return sorted(shown, key=lambda row: (-row.share, row.label))[:MOST_LABELS]


def _words(row: ShareRow, before: ShareRow | None) -> str:
    change = f" ({points(row.share - before.share)})" if before else ""
    return f"{row.label} {row.share:.0%}{change}"

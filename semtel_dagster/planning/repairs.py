"""How many second questions a backfill will ask: about answers that give no label, where the settings say so.

They depend on answers that are not there yet, so they are an estimate from the past, told beside the exact calls.
Their tokens are in the learned rates already, since an answer's tokens are those of both questions.
"""

from __future__ import annotations

from collections.abc import Iterable

from semtel_dagster.planning.history import History
from semtel_dagster.planning.project import Project

MOST_WEEKS = 3


def second_calls(project: Project, history: History, calls: Iterable[tuple[str, int]]) -> int:
    """Second questions to expect.

    Args:
        project: The current state; without `requests.repair: ask` nothing is asked twice.
        history: The recorded state.
        calls: By classifier, the first questions that are due.
    """
    if project.settings.requests.repair != "ask":
        return 0
    return round(sum(count * _share(history, classifier) for classifier, count in calls))


def _share(history: History, classifier: str) -> float:
    """Of the newest weeks' answered conversations, those whose first answer gave no label; 0 before the first week."""
    weeks = sorted((week for week, name in history.grid["labels"] if name == classifier), reverse=True)
    asked = again = 0
    for week in weeks[:MOST_WEEKS]:
        labels = history.of("labels", week, classifier) or {}
        answered = int(labels.get("conversations", 0)) - int(labels.get("unanswered", 0))
        tasks = sum(int(value) for name, value in labels.items() if name.endswith("_labels")) / max(1, answered)
        asked += answered
        again += int(labels.get("invalid", 0)) + round(int(labels.get("repaired_labels", 0)) / max(1.0, tasks))
    return min(1.0, again / asked) if asked else 0.0

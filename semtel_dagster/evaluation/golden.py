"""Golden sets: labels that people gave, as data.

A golden file is JSONL or CSV; a row is what one annotator says about one task of one conversation:

    {"conversation_id": "c1", "task": "topic", "label": "travel", "annotator": "kim"}
    {"conversation": [{"role": "user", "content": "..."}], "task": "topic", "label": "travel", "score": 3}

`conversation` (messages, or an object with `messages`) makes the set self-contained; without it the conversation is
looked up by its id in the tables or the source. In CSV, `text` is a conversation of one user message. Comparing
labels belongs in `agreement`; asking models elsewhere.
"""

from __future__ import annotations

import csv
import glob
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from semtel_dagster.classifiers import Task
from semtel_dagster.errors import SettingsError
from semtel_dagster.transcript import ROLES, Turn, content_hash, render

UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class GoldenLabel:
    """What one annotator says about one task of one conversation."""

    case: str
    task: str
    label: str
    annotator: str = UNNAMED
    score: float | None = None


@dataclass(frozen=True)
class GoldenSet:
    """Human labels, and those conversations that came with them.

    Attributes:
        labels: In the order of the files; a case may have several annotators.
        conversations: Turns by case, where the files hold them.
    """

    labels: tuple[GoldenLabel, ...] = ()
    conversations: Mapping[str, tuple[Turn, ...]] = field(default_factory=dict)

    @property
    def tasks(self) -> set[str]:
        """The names of the tasks that have labels."""
        return {label.task for label in self.labels}

    def ratings(self, task: str) -> dict[str, dict[str, str]]:
        """A task's labels by case, then annotator; an annotator's last word counts."""
        found: dict[str, dict[str, str]] = {}
        for label in self.labels:
            if label.task == task:
                found.setdefault(label.case, {})[label.annotator] = label.label
        return found

    def gold(self, task: Task) -> dict[str, str]:
        """One label per case, from all its annotators: see `majority`. Labels that the task lacks are left out."""
        names = [label.name for label in task.labels]
        found = {case: majority(said.values(), names, task.ordinal) for case, said in self.ratings(task.name).items()}
        return {case: label for case, label in found.items() if label is not None}


def majority(said: Iterable[str], labels: Sequence[str], ordinal: bool) -> str | None:
    """The label that annotators agree on.

    Args:
        said: One label per annotator; those outside `labels` are ignored.
        labels: The task's labels, in order.
        ordinal: Whether that order carries meaning.

    Returns:
        For an ordinal task the median (of two middle ones the lower), which is the majority wherever there is one;
        else the commonest label, or None where two are equally common.
    """
    known = [label for label in said if label in labels]
    if not known:
        return None
    if ordinal:
        return sorted(known, key=labels.index)[(len(known) - 1) // 2]
    (first, most), *rest = Counter(known).most_common()
    return None if rest and rest[0][1] == most else first


def load_golden(patterns: Iterable[str]) -> GoldenSet:
    """Reads golden files.

    Args:
        patterns: Paths or globs of `.jsonl` and `.csv` files.

    Raises:
        SettingsError: A pattern matches nothing, or a row is no golden label; the message names file and line.
    """
    labels: list[GoldenLabel] = []
    conversations: dict[str, tuple[Turn, ...]] = {}
    for pattern in patterns:
        paths = sorted(glob.glob(pattern, recursive=True))
        if not paths:
            raise SettingsError(f"no golden file matches {pattern}; give --gold, or the setting gold, a JSONL or CSV")
        for path in map(Path, paths):
            for number, row in _rows(path):
                try:
                    label, turns = _read(row)
                except (KeyError, TypeError, ValueError) as error:
                    raise SettingsError(f"{path.name}, line {number} is no golden label: {_why(error)}") from None
                labels.append(label)
                if turns is not None:
                    conversations[label.case] = turns
    return GoldenSet(tuple(labels), conversations)


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    if path.suffix == ".csv":
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
        for row in reader:
            yield reader.line_num, {name: value for name, value in row.items() if name and value}
        return
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError:
                raise SettingsError(f"{path.name}, line {number} is no golden label: it is not JSON") from None


def _read(row: Any) -> tuple[GoldenLabel, tuple[Turn, ...] | None]:
    if not isinstance(row, dict):
        raise TypeError("it is not an object")
    turns = _turns(row)
    case = row.get("conversation_id") or (content_hash(render(turns)) if turns else None)
    if case is None:
        raise KeyError("conversation_id or conversation")
    score = row.get("score")
    label = GoldenLabel(
        case=str(case),
        task=_word(row, "task"),
        label=_word(row, "label"),
        annotator=str(row.get("annotator") or UNNAMED),
        score=None if score is None else float(score),
    )
    return label, turns


def _turns(row: Mapping[str, Any]) -> tuple[Turn, ...] | None:
    given = row.get("conversation")
    if given is None:
        return (Turn("user", row["text"]),) if row.get("text") else None
    messages = given["messages"] if isinstance(given, dict) else given
    turns = tuple(Turn(message["role"], message["content"]) for message in messages)
    if not turns or any(turn.role not in ROLES or not isinstance(turn.content, str) for turn in turns):
        raise ValueError(f"conversation must be messages with a role of {', '.join(ROLES)} and a text")
    return turns


def _word(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    if not isinstance(value, (str, int)) or isinstance(value, bool) or value == "":
        raise ValueError(f"{name} must be text")
    return str(value)


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it needs {error.args[0]}"
    # Texts of float() and int() would show the value.
    return str(error) if isinstance(error, TypeError) or "must be" in str(error) else "score must be a number"

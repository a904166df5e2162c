"""The notebook of one annotator: a golden file to which each key press adds a line, on disk before it is answered.

A label that is given again is a new line; the last one counts. What a golden file is, is said in `evaluation.golden`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
from pathlib import Path
from typing import Any


class Notebook:
    """Labels of one annotator, as they are given; safe for several threads of one process."""

    def __init__(self, path: Path, annotator: str) -> None:
        """Opens the file, or begins it; a line that a crash cut off is taken away, since it was never acknowledged."""
        self.path = path
        self.annotator = annotator
        self._lock = threading.Lock()
        self._labels: dict[tuple[str, str], str] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab+")
        self._mend_and_read()

    def __enter__(self) -> Notebook:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def label(self, case: str, task: str) -> str | None:
        """What this annotator said last about a task of a case."""
        return self._labels.get((case, task))

    def __len__(self) -> int:
        return len(self._labels)

    def write(self, case: str, task: str, label: str, inclusion_probability: float) -> None:
        """Adds a label; when this returns, it is on disk.

        Args:
            case: The conversation's id.
            task: The task's name.
            label: One of its labels.
            inclusion_probability: Of the case, among the stored conversations it was drawn from.
        """
        row = {
            "conversation_id": case,
            "task": task,
            "label": label,
            "annotator": self.annotator,
            "inclusion_probability": inclusion_probability,
            "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        }
        line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._labels[case, task] = label

    def close(self) -> None:
        """Closes the file; all is on disk already."""
        self._file.close()

    def _mend_and_read(self) -> None:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)
        for line in content[:whole].split(b"\n"):
            row: dict[str, Any] = json.loads(line) if line.strip() else {}
            if row.get("annotator") == self.annotator:
                self._labels[row["conversation_id"], row["task"]] = row["label"]

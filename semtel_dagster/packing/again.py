"""How many further calls packs lead to: about answers that came cut or misaligned, or that a grader doubts.

Belongs here: counts beside the journal, added to at the end of each run and read by the plan. Asking again belongs in
`session`; how far packs agree with single calls in `agreement`.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import orjson

from semtel_dagster.packing.agreement import FOLDER
from semtel_dagster.prompts.together import template_fingerprint

AGAIN = "again"


@dataclass(frozen=True)
class Again:
    """What runs in company came to.

    Attributes:
        asked: Conversations that were asked about in company.
        calls: Further calls about them.
    """

    asked: int = 0
    calls: int = 0

    def __add__(self, other: Again) -> Again:
        return Again(self.asked + other.asked, self.calls + other.calls)

    @property
    def rate(self) -> float:
        """Further calls a conversation; 0 before the first."""
        return self.calls / self.asked if self.asked else 0.0


class AgainRecord:
    """The counts of one classifier, by the size of packs, as a file that several processes share."""

    def __init__(self, journal: str, fingerprint: str, models: tuple[str, ...]) -> None:
        """Opens nothing; a changed prompt, model or template begins a new record."""
        parts = ["asked again", fingerprint, *sorted(models), template_fingerprint()]
        name = blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()
        self._path = Path(journal) / FOLDER / AGAIN / f"{name}.json"

    def read(self, size: int) -> Again:
        """What is known about packs of a size; nothing where none was asked."""
        asked, calls = self._all().get(str(size), (0, 0))
        return Again(asked, calls)

    def add(self, counts: dict[int, Again]) -> None:
        """Adds a run's counts by size; where nothing was asked nothing is written."""
        if not any(again.asked for again in counts.values()):
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_WRONLY, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = self._all()
            for size, again in counts.items():
                whole = self.read(size) + again
                known[str(size)] = (whole.asked, whole.calls)
            draft = self._path.with_suffix(".draft")
            draft.write_bytes(orjson.dumps(known, option=orjson.OPT_INDENT_2))
            os.replace(draft, self._path)
        finally:
            os.close(lock)

    def _all(self) -> dict[str, tuple[int, int]]:
        try:
            return dict(orjson.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return {}

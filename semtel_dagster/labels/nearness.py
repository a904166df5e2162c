"""What reading an answer needs of a judge of meaning, which finds the label that an unknown word is about.

Off unless it is given. The judge itself belongs in `embedding`; which one the settings ask for, in `repair`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from semtel_dagster.classifiers import Task

Finder: TypeAlias = Callable[[str], str | None]
"""From a value in a label's place to the name of the label it means, or None where that is not clear."""


class Nearness(Protocol):
    """A judge of meaning; picklable."""

    @property
    def fingerprint(self) -> str:
        """All that can change what it finds, but the task's own words."""
        ...

    def finder(self, task: Task) -> Finder | None:
        """The judge of one task's labels; None for a task it cannot judge."""
        ...

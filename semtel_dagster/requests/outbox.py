"""Finished rows on their way to the recorder.

Belongs here: gathering, counting, and when to hand over. Writing belongs in `recorder`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import monotonic

from semtel_dagster.requests.row import Record, follower_of

FLUSH_ROWS = 1024
FLUSH_SHARE = 0.7  # of the interval: building, writing and fsync take the rest


class Outbox:
    """Hands finished rows over in batches.

    Attributes:
        answered: Rows with an answer.
        failed: Rows that ended with a reason.
    """

    def __init__(self, hand_over: Callable[[list[Record]], None], flush_s: float) -> None:
        """Starts empty; `hand_over` must not block, and gets no row later than `flush_s` seconds after its end."""
        self.answered = self.failed = 0
        self.due_s = flush_s * FLUSH_SHARE
        self._hand_over = hand_over
        self._records: list[Record] = []
        self._oldest = inf

    def put(self, record: Record, followers: int) -> None:
        """Takes a finished row, and one more for each row with the same text."""
        self._add(record)
        for _ in range(followers):
            self._add(follower_of(record))

    def flush(self) -> None:
        """Hands over what is there."""
        if self._records:
            records, self._records = self._records, []
            self._hand_over(records)

    def flush_if_due(self, before: float) -> None:
        """Hands over when the oldest row would be due before that time of the clock."""
        if self._records and before - self._oldest >= self.due_s:
            self.flush()

    def _add(self, record: Record) -> None:
        if record[14] == "answered":
            self.answered += 1
        else:
            self.failed += 1
        if not self._records:
            self._oldest = monotonic()
        self._records.append(record)
        if len(self._records) >= FLUSH_ROWS:
            self.flush()

"""The value that parsing an answer gives, and the words for how it was found."""

from __future__ import annotations

from dataclasses import dataclass

EXACT, CLEANED, MATCHED = "exact", "cleaned", "matched"
REPAIRED, INVALID, UNANSWERED = "repaired", "invalid", "unanswered"
PREDICTED = "predicted"
PREDICTED_MARK = "cascade:"
"""How the `model` of a response begins that a student of the cascade gave; its version follows."""
REPAIRED_MARK = "repaired: "
"""How the `error` of a response begins whose conversation was asked again; what follows was wrong at first."""


@dataclass(frozen=True, slots=True)
class ParsedLabel:
    """What an answer says about one task.

    Attributes:
        task: The task's name.
        label: One of the task's labels, or None when `status` is invalid or unanswered.
        score: The task's score within its range, or None.
        status: exact (a clean answer), cleaned (the label's name, dug out), matched (another spelling),
            repaired (asked again, or found by its meaning), predicted (by a student of the cascade), invalid.
        reason: A code of `reasons` when label or score is missing.
        confidence: Between 0 and 1, where the answer states one.
    """

    task: str
    label: str | None
    score: float | None
    status: str
    reason: str | None
    confidence: float | None = None

"""Dividing what a call cost among those it was about, so that the parts add up to exactly what was charged.

Belongs here: arithmetic. Whose part goes into which row belongs in `filing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Charge:
    """Tokens and calls.

    Attributes:
        input_tokens: Prompt tokens.
        cached_tokens: Of these, served from a prompt cache.
        output_tokens: Completion tokens.
        attempts: Calls sent, refusals included.
        refusals: Of these, refused by rate.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    attempts: int = 0
    refusals: int = 0

    @classmethod
    def of(cls, row: dict[str, Any]) -> Charge:
        """What a row of RESPONSES carries."""
        return cls(*(int(row[name] or 0) for name in NAMES))

    def __add__(self, other: Charge) -> Charge:
        return Charge(*(getattr(self, name) + getattr(other, name) for name in NAMES))

    @property
    def calls(self) -> Charge:
        """Its calls without its tokens."""
        return Charge(attempts=self.attempts, refusals=self.refusals)

    @property
    def tokens(self) -> Charge:
        """Its tokens without its calls."""
        return Charge(self.input_tokens, self.cached_tokens, self.output_tokens)

    def as_dict(self) -> dict[str, int]:
        """By column of RESPONSES."""
        return {name: getattr(self, name) for name in NAMES}


NAMES = ("input_tokens", "cached_tokens", "output_tokens", "attempts", "refusals")


def shares(total: int, weights: Sequence[float]) -> list[int]:
    """Whole parts of a total in proportion to weights, by largest remainders; they add up to the total.

    Args:
        total: 0 or more.
        weights: At least one, 0 or more each; all 0 counts as all alike.
    """
    whole = sum(weights)
    even = [1.0] * len(weights) if whole <= 0 else list(weights)
    exact = [total * weight / sum(even) for weight in even]
    parts = [int(part) for part in exact]
    left = total - sum(parts)
    by_remainder = sorted(range(len(parts)), key=lambda at: (parts[at] - exact[at], at))
    for at in by_remainder[: max(left, 0)]:
        parts[at] += 1
    for at in by_remainder[left:] if left < 0 else ():
        parts[at] -= 1
    return parts


def divide(charge: Charge, weights: Sequence[float]) -> list[Charge]:
    """A charge's tokens in proportion to weights; its calls stand in the first part.

    Cached tokens are never more than the input tokens of the same part.
    """
    prompt = shares(charge.input_tokens, weights)
    cached = shares(charge.cached_tokens, [float(part) for part in prompt])
    output = shares(charge.output_tokens, [1.0] * len(weights))
    parts = [Charge(*tokens) for tokens in zip(prompt, cached, output, strict=True)]
    return [parts[0] + charge.calls, *parts[1:]]

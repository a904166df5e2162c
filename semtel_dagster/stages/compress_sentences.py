"""The steps `sentences` and `perplexity`: units that say least give way to dots.

Belongs here: which units may go, and which go. What a unit is belongs in `compress_units`; what it says, to a language
model or by chance, in `surprisal`.

Source of the method: Selective Context (Li et al. 2023) drops the phrases and sentences of least mean self-information
under a causal language model; from LLMLingua (Jiang et al. 2023) is the budget that the parts of a prompt do not share
evenly: what was asked first and said last stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semtel_dagster.reducers import PerplexitySettings, SentenceSettings
from semtel_dagster.stages.compress_units import Unit, split_units
from semtel_dagster.stages.tokens import token_ends
from semtel_dagster.surprisal.base import Scorer

DOTS = "…"
SLACK_TOKENS = 60  # about a sentence
DECIMALS = 3  # of a mean surprisal: what is beyond is noise, and must decide nothing

Mask = NDArray[np.bool_]
_NONE = np.empty(0, dtype=np.int64)
_NO = np.empty(0, dtype=bool)


@dataclass(frozen=True)
class SentenceRule:
    """Shortens conversations, each by itself.

    Attributes:
        options: How much stays, and what stays always.
        scorer: Says how surprising a unit is.
        max_tokens: What a transcript is cut to afterwards; what that would cut anyway is not scored.
        head_share: The part of it that goes to the beginning.
    """

    options: SentenceSettings
    scorer: Scorer
    max_tokens: int
    head_share: float

    @property
    def name(self) -> str:
        """In the column `truncation`."""
        return "perplexity" if isinstance(self.options, PerplexitySettings) else "sentences"

    def __call__(self, roles: Sequence[str], contents: Sequence[str]) -> list[str]:
        """The contents of a conversation's turns, without the units of least surprisal.

        Args:
            roles: Of each turn.
            contents: Normalised, of each turn.

        Returns:
            As many contents; the same ones where nothing is to go.
        """
        turns = [split_units(content) for content in contents]
        sizes = [_sizes(units) for units in turns]
        near = self._near(np.concatenate([_NONE, *sizes]))
        may_go = near & ~np.concatenate([_NO, *self._kept_always(roles, turns, sizes)])
        tokens = np.concatenate([_NONE, *sizes])
        goal = max(self.options.keep * tokens[near].sum(), self.options.min_tokens)
        if tokens[near].sum() <= goal or not may_go.any():
            return list(contents)
        surprisal = self._surprisal(roles, turns, near, may_go)
        goes = _least(surprisal, tokens, may_go, int(tokens[near].sum() - goal))
        ends = np.cumsum([len(units) for units in turns])[:-1]
        return [_without(units, gone) for units, gone in zip(turns, np.split(goes, ends), strict=True)]

    def _near(self, tokens: NDArray[np.int64]) -> Mask:
        """The units that may be within the budget once their neighbours are shortened."""
        most = self.max_tokens / self.options.keep
        behind = np.cumsum(tokens)
        before = tokens.sum() - behind + tokens
        mask: Mask = (behind <= most * self.head_share) | (before <= most * (1 - self.head_share))
        return mask | bool(tokens.sum() <= most)

    def _kept_always(self, roles: Sequence[str], turns: list[list[Unit]], sizes: list[NDArray[np.int64]]) -> list[Mask]:
        """By turn: marks, the first sentence, and both ends of the first request and of the last turns."""
        request = next((place for place, role in enumerate(roles) if role == "user"), 0)
        last = len(turns) - self.options.last_turns
        kept = []
        for place, (units, tokens) in enumerate(zip(turns, sizes, strict=True)):
            mask = np.array([unit.fixed for unit in units], dtype=bool)
            mask[:1] |= units[0].mark is None
            if place == request or place >= last:
                behind = np.cumsum(tokens)
                mask |= (behind - tokens < self.options.end_tokens) | (tokens.sum() - behind < self.options.end_tokens)
            kept.append(mask)
        return kept

    def _surprisal(
        self, roles: Sequence[str], turns: list[list[Unit]], near: Mask, may_go: Mask
    ) -> NDArray[np.float64]:
        """Of each unit, in nats a token; NaN where it does not matter. The rest of a long text is not read."""
        pieces: list[str] = []
        units: list[int] = []  # the place of each piece among the units; -1 for a speaker's name
        place = 0
        for role, own in zip(roles, turns, strict=True):
            if near[place : place + len(own)].any():
                pieces.append(f"\n\n{role}:\n" if pieces else f"{role}:\n")
                units.append(-1)
            inside = [at for at in range(place, place + len(own)) if near[at]]
            pieces += [own[at - place].text for at in inside]
            units += inside
            place += len(own)
        owners = np.array(units, dtype=np.int64)
        found = self.scorer(pieces, [at >= 0 and bool(may_go[at]) for at in units])
        surprisal = np.full(len(near), np.nan)
        surprisal[owners[owners >= 0]] = np.round(found[owners >= 0], DECIMALS)
        return surprisal


def _least(surprisal: NDArray[np.float64], tokens: NDArray[np.int64], may_go: Mask, surplus: int) -> Mask:
    """The units of least surprisal that make up the surplus; of equal ones the earliest go.

    One that is much larger than what is still to go stays.
    """
    goes = np.zeros(len(tokens), dtype=bool)
    for place in np.argsort(surprisal, kind="stable"):
        if surplus <= 0 or np.isnan(surprisal[place]):
            break
        if may_go[place] and tokens[place] <= surplus + SLACK_TOKENS:
            goes[place] = True
            surplus -= int(tokens[place])
    return goes


def _without(units: list[Unit], goes: Mask) -> str:
    left: list[str] = []
    dotted = False
    for unit, gone in zip(units, goes, strict=True):
        if not gone:
            left.append(unit.text)
        elif unit.mark is not None:
            left.append(_lead(unit.text, left) + unit.mark)
        elif not dotted:
            left.append(_lead(unit.text, left) + DOTS)
        dotted = bool(gone) and unit.mark is None
    return "".join(left)


def _lead(text: str, left: list[str]) -> str:
    """What stands before a mark: a new line, a space or nothing, as before the unit that it stands for."""
    lead = text[: len(text) - len(text.lstrip())]
    return ("\n" if "\n" in lead else lead[:1]) if left else ""


def _sizes(units: list[Unit]) -> NDArray[np.int64]:
    return np.array([len(ends) for ends in token_ends([unit.text for unit in units])], dtype=np.int64)

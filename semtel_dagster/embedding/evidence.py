"""What a conversation shows beside its subject: acts, signs of content, and level of knowledge.

Each is read from the turns that a task judges; which of them matters for a task belongs in `tasks.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semtel_dagster.embedding.cues import acts, sign
from semtel_dagster.embedding.semantic import Floats
from semtel_dagster.embedding.static_vectors import load_static_vectors

MOST_CUES = 3
CASE_ACTS = ("fix", "analyze")
CASE_LINES = 3
FEW_BYTES = 24  # about five words of English, eight of Chinese
FIRST_TURN = 1.0
ALL_TURNS = 0.5
POSITIVE_SIGN = 0.25
NEGATIVE_SIGN = 0.3
LAST_TURN = 1.5
LENGTH_SHARE = 0.9  # of what is seen of a level; the rest is rare words
BYTE_TOKENS = 259  # of the vocabulary: control and single-byte tokens

# Mean and standard deviation over 1,200 ShareGPT conversations: log of tokens, mean norm of the token vectors.
LENGTH_AND_RARITY = {"user": ((4.57, 1.50), (8.77, 1.25)), "assistant": ((6.50, 1.08), (9.28, 1.07))}


def act_weights(user_turns: Sequence[str]) -> Floats:
    """How much of each act the user's turns show, shape [acts]; the first turn counts most.

    A first turn of several lines brings a case along, which counts as a cue to fix or analyze it. A first turn of a
    few words in a conversation without any cue is chat.
    """
    if not user_turns:
        return np.zeros(len(acts()))
    first = [act.count(user_turns[:1], MOST_CUES) for act in acts()]
    every = [act.count(user_turns, MOST_CUES) for act in acts()]
    pasted = [act.name in CASE_ACTS and user_turns[0].count("\n") >= CASE_LINES for act in acts()]
    counts = FIRST_TURN * (np.array(first) + np.array(pasted)) + ALL_TURNS * np.array(every)
    if not counts.any() and len(user_turns[0].encode()) <= FEW_BYTES:
        counts = np.array([float(act.name == "chat") for act in acts()])
    weights: Floats = counts * np.array([act.weight for act in acts()])
    return weights


def valence(user_turns: Sequence[str]) -> float:
    """How content the user's turns after the first answer sound: -1 to 1, and 0 without a sign."""
    shifts = [
        POSITIVE_SIGN * sign("positive").count([turn], 2) - NEGATIVE_SIGN * sign("negative").count([turn], 2)
        for turn in user_turns[1:]
    ]
    total = sum(shifts) + (LAST_TURN - 1) * sum(shifts[-1:])
    return float(np.clip(round(total, 2), -1.0, 1.0))


def level(turns: Sequence[str], role: str) -> float:
    """How much knowledge some turns show, in standard deviations from what is usual for the role.

    Length and rare words are all that static vectors see of it: the former counts more.
    """
    text = "\n".join(turns)
    (ids,) = load_static_vectors().token_ids([text.lower()])
    words = np.unique(ids[ids >= BYTE_TOKENS])
    rarity = float(np.sqrt((load_static_vectors().table[words] ** 2).sum(axis=1)).mean()) if len(words) else 0.0
    length, rare = LENGTH_AND_RARITY[role]
    longer, rarer = (float(np.log1p(len(ids))) - length[0]) / length[1], (rarity - rare[0]) / rare[1]
    return round(LENGTH_SHARE * longer + (1 - LENGTH_SHARE) * rarer, 6)

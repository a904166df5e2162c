"""Which conversations wait for a batch, and in which file: pure functions of hashes, tokens and the settings.

Belongs here: the choice. It hangs on content hashes alone, so neither the order nor the batching of rows changes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.reducers import BatchSettings

TOKENS_PER_MESSAGE, TOKENS_PER_ANSWER = 4, 3
"""A chat's markup as OpenAI documents it."""


@dataclass(frozen=True)
class Share:
    """What one endpoint gets.

    Attributes:
        endpoint: Its name.
        requested: Columns content_hash and tokens.
    """

    endpoint: str
    requested: pa.Table


def overhead(prompt: CompiledPrompt) -> int:
    """Prompt tokens of a call beside its transcript's."""
    return prompt.static_tokens + TOKENS_PER_MESSAGE * len(prompt.messages) + TOKENS_PER_ANSWER


def choose(
    missing: pa.Table, settings: BatchSettings, rooms: Mapping[str, int | None], affordable: int | None = None
) -> list[Share]:
    """Spreads what may wait over the endpoints' rooms.

    Args:
        missing: Columns content_hash and tokens (of the whole call): what no answer is known for.
        settings: The share that may wait, and how few are not worth a file.
        rooms: Tokens that may still be enqueued, by endpoint; None where no limit is known.
        affordable: Conversations that a budget allows; None: no cap.

    Returns:
        One share per endpoint that gets any; the rest is to be asked online.
    """
    waiting = may_wait(missing, settings)
    if affordable is not None:
        waiting = waiting.slice(0, affordable)
    if waiting.num_rows < settings.min_requests:
        return []
    shares, rest = [], waiting
    for endpoint, tokens in _widest_first(rooms):
        fitting = rest.num_rows if tokens is None else _fitting(rest, tokens)
        if fitting >= min(settings.min_requests, waiting.num_rows):
            shares.append(Share(endpoint, rest.slice(0, fitting)))
            rest = rest.slice(fitting)
    return [share for share in shares if share.requested.num_rows]


def may_wait(missing: pa.Table, settings: BatchSettings) -> pa.Table:
    """The share of conversations that may wait, by their hashes, in order of content hash."""
    ordered = missing.sort_by("content_hash")
    if settings.share >= 1 or not ordered.num_rows:
        return ordered
    parts = np.array([int(value[:8], 16) for value in ordered["content_hash"].to_pylist()], dtype=np.float64)
    return ordered.filter(pa.array(parts < settings.share * 2**32))


def price_factor(calls: int, settings: BatchSettings) -> float:
    """What so many calls cost with batches, as a part of what they cost online; quotas are not known beforehand."""
    waits = settings.share if settings.enabled and calls * settings.share >= settings.min_requests else 0.0
    return 1 - waits * (1 - settings.price_factor)


def _widest_first(rooms: Mapping[str, int | None]) -> Sequence[tuple[str, int | None]]:
    return sorted(rooms.items(), key=lambda item: (item[1] is not None, -(item[1] or 0), item[0]))


def _fitting(requested: pa.Table, tokens: int) -> int:
    if not requested.num_rows:
        return 0
    sums = np.asarray(pc.cumulative_sum(requested["tokens"]).combine_chunks())
    return int(np.searchsorted(sums, tokens, side="right"))

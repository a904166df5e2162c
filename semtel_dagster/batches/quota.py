"""How many tokens may still be enqueued at an endpoint: what is open, what is configured, what refusals have taught.

Belongs here: the arithmetic and the memory of refusals. Who takes room belongs in `submitting`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

from semtel_dagster.batches.batch import Batch

FILE = "quotas.json"
REMEMBERED_S = 7 * 24 * 3600.0
"""Providers raise quotas with use; a memory older than a week is dropped, at the price of one refused batch."""


def enqueued(batches: Iterable[Batch], endpoint: str) -> int:
    """The tokens that an endpoint's provider has in its queue, by our count."""
    return sum(each.tokens for each in batches if each.status == "created" and each.endpoint == endpoint)


def room(folder: Path, batches: Iterable[Batch], endpoint: str, configured: int | None) -> int | None:
    """The tokens that may still be claimed at an endpoint; None where no limit is known.

    Files that are not in the provider's queue yet count too: each will need its room.
    """
    limits = [limit for limit in (configured, learned(folder, endpoint)) if limit is not None]
    claimed = sum(each.tokens for each in batches if each.is_open and each.endpoint == endpoint)
    return max(0, min(limits) - claimed) if limits else None


def finds_room(folder: Path, batches: Iterable[Batch], batch: Batch) -> bool:
    """Whether a file that was refused may find room now: the queue is empty, or short enough by what was learned."""
    queue, limit = enqueued(batches, batch.endpoint), learned(folder, batch.endpoint)
    return not queue or (limit is not None and queue + batch.tokens <= limit)


def learned(folder: Path, endpoint: str) -> int | None:
    """The quota that refusals have taught; None where none is remembered."""
    entry = _read(folder).get(endpoint, {})
    return int(entry["tokens"]) if entry.get("at", 0) > time.time() - REMEMBERED_S else None


def learn(folder: Path, endpoint: str, *, said: int | None, queued: int, refused: int) -> int:
    """Remembers a refusal.

    Args:
        folder: Where batches are kept.
        endpoint: Who refused.
        said: The quota that the refusal named, if it did.
        queued: The tokens that were in the queue.
        refused: The tokens of the refused one.

    Returns:
        The quota that is believed from now on: what was said, else what was queued, else half of what was refused.
    """
    tokens = said if said is not None else (queued or refused // 2)
    everything = _read(folder) | {endpoint: {"tokens": tokens, "at": int(time.time())}}
    temporary = folder / f".{FILE}.{os.getpid()}"
    temporary.write_text(json.dumps(everything, indent=1))
    temporary.replace(folder / FILE)
    return tokens


def _read(folder: Path) -> dict[str, dict[str, float]]:
    try:
        found = json.loads((folder / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}

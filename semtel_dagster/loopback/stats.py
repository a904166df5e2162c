"""What a loopback server has seen and done: every call counted, by conversation, kind and time.

Counting only. A call is counted when its request has come in full, before anything is decided; an answer is
counted when it is due, whether or not its client is still there: the provider would bill it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

BUCKET_S = 0.1
SERIES = ("calls", "answered", "refused", "faults")
TOTALS = (
    "calls",
    "answered",
    "refused",
    "vanished",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "connections_opened",
    "embedding_calls",
    "embedding_answered",
    "embedding_refused",
    "embedded_texts",
    "files_uploaded",
    "batches_created",
    "batch_requests",
)


class Series:
    """Counts by buckets of 0.1 s since the clock began."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {name: [] for name in SERIES}

    def add(self, name: str, bucket: int) -> None:
        """Counts one event."""
        counts = self._counts[name]
        if len(counts) <= bucket:
            counts.extend([0] * (bucket + 1 - len(counts)))
        counts[bucket] += 1

    def as_dict(self) -> dict[str, Any]:
        """The counts, all of one length."""
        length = max(len(counts) for counts in self._counts.values())
        padded = {name: counts + [0] * (length - len(counts)) for name, counts in self._counts.items()}
        return {"bucket_s": BUCKET_S, **padded}

    def answered_per_minute(self) -> list[int]:
        """Answers in each minute since the clock began."""
        counts, width = self._counts["answered"], round(60 / BUCKET_S)
        return [sum(counts[at : at + width]) for at in range(0, len(counts), width)]


class Stats:
    """The counters of one server process since its start or its last reset."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.hanging = 0
        self.connections = 0
        self.reset()

    def reset(self) -> None:
        """Forgets everything but what is going on."""
        self.totals: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.refused_by: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.calls: dict[bytes, int] = {}
        self.paid: dict[bytes, int] = {}
        self.transcripts: dict[bytes, int] = {}
        self.paid_transcripts: dict[bytes, int] = {}
        self.paid_in_packs: dict[bytes, int] = {}
        self.answer_log: list[tuple[str, float, float]] = []
        self.series = Series()
        self.clients: dict[str, Series] = {}
        self.client_totals: dict[str, Counter[str]] = {}
        self.max_in_flight = self.in_flight
        self.max_connections = self.connections

    def count(self, name: str, client: str, at_s: float) -> None:
        """Counts an event that has a time series, for all and for its client ("" is no client)."""
        bucket = int(at_s / BUCKET_S)
        self.totals[name] += 1
        self.series.add(name, bucket)
        if client:
            if client not in self.clients:
                self.clients[client] = Series()
                self.client_totals[client] = Counter()
            self.clients[client].add(name, bucket)
            self.client_totals[client][name] += 1

    def call(self, conversation: bytes, transcript: bytes) -> int:
        """Counts a call by its keys.

        Returns:
            Which call of this conversation it is, from 1.
        """
        nth = self.calls.get(conversation, 0) + 1
        self.calls[conversation] = nth
        if transcript != conversation:
            self.transcripts[transcript] = self.transcripts.get(transcript, 0) + 1
        return nth

    def pay(self, conversation: bytes, transcript: bytes, tokens: tuple[int, int, int]) -> None:
        """Counts work that a provider would bill: prompt, cached and completion tokens."""
        self.paid[conversation] = self.paid.get(conversation, 0) + 1
        if transcript != conversation:
            self.paid_transcripts[transcript] = self.paid_transcripts.get(transcript, 0) + 1
        for name, amount in zip(("prompt_tokens", "cached_tokens", "completion_tokens"), tokens, strict=True):
            self.totals[name] += amount

    def pay_packed(self, keys: Sequence[bytes]) -> None:
        """Counts the conversations of a prompt that held several."""
        for key in keys:
            self.paid_in_packs[key] = self.paid_in_packs.get(key, 0) + 1

    def log(self, conversation: bytes, at: float, connected_at: float) -> None:
        """Keeps when an answer was sent and when its connection was made, by the machine's monotonic clock."""
        self.answer_log.append((conversation.hex(), at, connected_at))

    def enter(self) -> None:
        """A call goes into service."""
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def connect(self) -> None:
        """A connection was opened."""
        self.connections += 1
        self.totals["connections_opened"] += 1
        self.max_connections = max(self.max_connections, self.connections)

    def as_dict(self, elapsed_s: float, *, conversations: bool = True) -> dict[str, Any]:
        """Everything as JSON values; `conversations=False` leaves out the counts by key, which grow with the rows."""
        figures: dict[str, Any] = {
            "elapsed_s": elapsed_s,
            **{name: self.totals[name] for name in TOTALS},
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "hanging": self.hanging,
            "connections": self.connections,
            "max_connections": self.max_connections,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "refused_by": dict(self.refused_by),
            "faults": dict(self.faults),
            "calls_per_conversation": _histogram(self.calls),
            "paid_per_conversation": _histogram(self.paid),
            "answered_per_minute": self.series.answered_per_minute(),
            "series": self.series.as_dict(),
            "clients": {
                name: {**self.client_totals[name], "series": series.as_dict()} for name, series in self.clients.items()
            },
        }
        if conversations:
            figures["conversations"] = _by_hex(self.calls)
            figures["paid"] = _by_hex(self.paid)
            figures["answer_log"] = self.answer_log
            figures["transcripts"] = _by_hex(self.transcripts or self.calls)
            figures["paid_in_packs"] = _by_hex(self.paid_in_packs)
            figures["paid_transcripts"] = _by_hex(self.paid_transcripts or self.paid)
        return figures


def _histogram(counts: dict[bytes, int]) -> dict[str, int]:
    """How many conversations have so many calls."""
    return {str(times): how_many for times, how_many in sorted(Counter(counts.values()).items())}


def _by_hex(counts: dict[bytes, int]) -> dict[str, int]:
    return {key.hex(): count for key, count in counts.items()}

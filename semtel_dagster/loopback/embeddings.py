"""An embeddings call from its arrival to its end: unit vectors that are a hash of each text.

Its quotas, phases and faults are those of the script, kept apart from the chat calls'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from semtel_dagster.loopback import replies
from semtel_dagster.loopback.admission import Admission
from semtel_dagster.loopback.arrival import Arrival
from semtel_dagster.loopback.chat import key_of, token_counter
from semtel_dagster.loopback.exchange import Exchange
from semtel_dagster.loopback.mishaps import BILLED
from semtel_dagster.loopback.wire import render


class EmbeddingRequest(msgspec.Struct):
    """The fields of an embeddings request that change the reply; others are ignored."""

    input: str | list[Any]
    model: str = ""
    dimensions: int | None = None
    encoding_format: str | None = None

    def texts(self) -> list[str]:
        """What to embed, one entry per vector; a list of tokens by its digits."""
        if isinstance(self.input, str):
            return [self.input]
        if self.input and isinstance(self.input[0], int):
            return [repr(self.input)]
        return [item if isinstance(item, str) else repr(item) for item in self.input]


_decode: Callable[[bytes], EmbeddingRequest] = msgspec.json.Decoder(EmbeddingRequest).decode


class Embeddings:
    """Serves embeddings calls by one script."""

    def __init__(self, admission: Admission) -> None:
        self._script = admission.script
        self._admission = admission
        self._stats, self._mishaps = admission.stats, admission.mishaps
        self._tokens = token_counter(admission.script)
        self._seen: dict[bytes, int] = {}

    def handle(self, arrival: Arrival) -> None:
        """Counts a call and sees it through.

        Raises:
            UnfitError: It is no embeddings call, or none that the script's server serves.
        """
        request = arrival.read(_decode, "an embeddings request")
        request.model = arrival.deployment or request.model
        texts = request.texts()
        key = key_of("\0".join(texts))
        self._seen[key] = self._seen.get(key, 0) + 1
        exchange = Exchange(
            connection=arrival.connection,
            client=arrival.client,
            azure=arrival.azure,
            prompt_tokens=sum(self._tokens(text) for text in texts),
            embedding=True,
        )
        self._admission.count("calls", exchange)
        self._admission.check_model(exchange, request.model)
        phase = self._admission.admit(exchange, key, self._seen[key], exchange.prompt_tokens)
        if phase is not None:
            seconds = self._script.latency.median_s * phase.slow
            self._admission.loop.call_later(seconds, self._finish, exchange, request, texts)

    def _finish(self, exchange: Exchange, request: EmbeddingRequest, texts: list[str]) -> None:
        if exchange.fault is not None:
            self._admission.count_fault(exchange.fault, exchange)
            if exchange.fault not in BILLED:
                self._mishaps.unbilled(exchange)
                return
        body = replies.embeddings(
            texts,
            request.model,
            request.dimensions or self._script.dimensions,
            request.encoding_format == "base64",
            exchange.prompt_tokens,
        )
        if exchange.fault is not None:
            self._mishaps.billed(exchange, body)
            return
        self._stats.totals["embedded_texts"] += len(texts)
        self._stats.statuses[200] += 1
        self._admission.count("answered", exchange)
        exchange.connection.reply(render(200, body, exchange.headers))

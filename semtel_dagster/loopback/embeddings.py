"""An embeddings call from its arrival to its end: unit vectors that are a hash of each text.

Its quotas, phases and faults are those of the script, kept apart from the chat calls'.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from semtel_dagster.loopback import replies
from semtel_dagster.loopback.admission import Admission
from semtel_dagster.loopback.chat import key_of, token_counter
from semtel_dagster.loopback.exchange import Exchange
from semtel_dagster.loopback.mishaps import BILLED, Mishaps
from semtel_dagster.loopback.schedule import Clock
from semtel_dagster.loopback.script import Script
from semtel_dagster.loopback.stats import Stats
from semtel_dagster.loopback.wire import Connection, Request, render


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


class Embeddings:
    """Serves embeddings calls by one script."""

    def __init__(
        self, script: Script, stats: Stats, mishaps: Mishaps, clock: Clock, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._script = script
        self._stats = stats
        self._mishaps = mishaps
        self._loop = loop
        self._admission = Admission(script, stats, mishaps, clock, loop)
        self._tokens = token_counter(script)
        self._seen: dict[bytes, int] = {}

    def handle(self, connection: Connection, raw: Request, deployment: str, client: str, azure: bool) -> None:
        """Sees a call through; the arguments are those of a chat call."""
        try:
            request = msgspec.json.decode(raw.body, type=EmbeddingRequest)
        except msgspec.DecodeError:
            message = "The body is not an embeddings request in valid JSON."
            self._mishaps.error(connection, 400, replies.invalid(None, message, None, azure=azure))
            return
        request.model = deployment or request.model
        texts = request.texts()
        key = key_of("\0".join(texts))
        self._seen[key] = self._seen.get(key, 0) + 1
        exchange = Exchange(
            connection=connection,
            client=client,
            azure=azure,
            prompt_tokens=sum(self._tokens(text) for text in texts),
            embedding=True,
        )
        self._admission.count("calls", exchange)
        if self._script.models is not None and request.model not in self._script.models:
            self._mishaps.error(connection, 404, replies.no_model(azure=azure))
            return
        phase = self._admission.admit(exchange, key, self._seen[key], exchange.prompt_tokens)
        if phase is not None:
            seconds = self._script.latency.median_s * phase.slow
            self._loop.call_later(seconds, self._finish, exchange, request, texts)

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

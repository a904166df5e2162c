"""How each fault looks on the wire.

Which call a fault strikes is decided in `faults`; when, in `completions`.
"""

from __future__ import annotations

import asyncio

from semtel_dagster.loopback import replies
from semtel_dagster.loopback.exchange import Exchange
from semtel_dagster.loopback.stats import Stats
from semtel_dagster.loopback.wire import Connection, render

BILLED = frozenset({"trickle", "truncated", "cut", "html_200", "content_type", "filtered_200"})
"""Faults that strike after the model has answered: a provider bills the call."""

_PIECES = 20


class Mishaps:
    """Ends calls by faults, and keeps the connections that hang."""

    def __init__(self, stats: Stats, loop: asyncio.AbstractEventLoop) -> None:
        self._stats = stats
        self._loop = loop
        self._hung: dict[Connection, asyncio.TimerHandle] = {}

    def unbilled(self, call: Exchange) -> None:
        """Ends a call by its fault, without an answer."""
        azure, connection = call.azure, call.connection
        if call.fault == "reset":
            connection.reset()
        elif call.fault == "error_500":
            body = replies.error(500, None, "The server had an error.", azure=azure, kind="server_error")
            self.error(connection, 500, body, call.headers)
        elif call.fault == "error_503":
            self.unavailable(connection, azure=azure)
        elif call.fault == "html_502":
            self._stats.statuses[502] += 1
            connection.reply(render(502, replies.HTML, content_type=b"text/html"))
        elif call.fault == "filtered_400":
            self.error(connection, 400, replies.content_filter(), call.headers)
        elif call.fault == "context_length":
            body = replies.context_length(max(1, call.prompt_tokens // 2), call.prompt_tokens, azure=azure)
            self.error(connection, 400, body, call.headers)
        elif call.fault == "invalid_422":
            self.error(connection, 422, replies.unprocessable(), call.headers)
        else:
            raise AssertionError(f"no such fault without an answer: {call.fault}")

    def billed(self, call: Exchange, body: bytes) -> None:
        """Sends a good answer's body so that the client cannot use it, or gets it late."""
        connection, whole = call.connection, render(200, body, call.headers)
        self._stats.statuses[200] += 1
        if call.fault == "truncated":
            connection.reply(render(200, body[: len(body) // 2], call.headers))
        elif call.fault == "cut":
            connection.send(whole[: len(whole) - len(body) // 2])
            connection.close()
        elif call.fault == "html_200":
            connection.reply(render(200, replies.HTML, content_type=b"text/html; charset=utf-8"))
        elif call.fault == "content_type":
            connection.reply(render(200, body, call.headers, b"text/plain"))
        elif call.fault == "trickle":
            self._trickle(connection, whole, 0, len(whole) // _PIECES + 1, call.trickle_s / _PIECES)
        else:
            connection.reply(whole)

    def error(self, connection: Connection, status: int, body: bytes, headers: bytes = b"") -> None:
        """Sends an error in JSON."""
        self._stats.statuses[status] += 1
        connection.reply(render(status, body, headers))

    def unavailable(self, connection: Connection, *, azure: bool) -> None:
        """Sends a 503."""
        body = replies.error(503, None, "The service is overloaded.", azure=azure, kind="server_error")
        self.error(connection, 503, body)

    def hang(self, connection: Connection, seconds: float) -> None:
        """Says nothing until the client goes or the time is over; then resets the connection."""
        self._stats.hanging += 1
        self._hung[connection] = self._loop.call_later(seconds, connection.reset)

    def lost(self, connection: Connection) -> None:
        """A client has gone: if it hung, it hangs no more."""
        timer = self._hung.pop(connection, None)
        if timer is not None:
            timer.cancel()
            self._stats.hanging -= 1

    def _trickle(self, connection: Connection, whole: bytes, at: int, step: int, pause_s: float) -> None:
        connection.send(whole[at : at + step])
        if at + step >= len(whole) or connection.gone:
            connection.done()
        else:
            self._loop.call_later(pause_s, self._trickle, connection, whole, at + step, step, pause_s)

"""A small HTTP/2 server in a thread: answers every request alike after a while, and counts connections and streams."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from tests.requests.certificates import Certificate

ANSWER = b'{"choices":[{"message":{"content":"{\\"colour\\":\\"red\\"}"},"finish_reason":"stop"}]}'


class Http2Server:
    """What the server does and has seen.

    Attributes:
        answer_s: Seconds until an answer.
        waves: Calls of each wave to come.
        streams: Calls at once that it allows on a connection.
        connections: How many were opened.
        peak: Most calls at once on one connection.
        requests: Headers of each request, in order of arrival.
        bodies: Bodies, in order of the answers.
        open: Connections that are open.
    """

    def __init__(self, answer_s: float, streams: int, waves: tuple[int, ...]) -> None:
        self.answer_s = answer_s
        self.waves = list(waves)
        self._arrived: list[tuple[_Connection, int]] = []
        self.streams = streams
        self.connections = self.peak = 0
        self.requests: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.open: set[_Connection] = set()
        self.loop = asyncio.new_event_loop()
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"https://127.0.0.1:{self.port}/v1"

    def arrived(self, connection: _Connection, stream: int) -> None:
        """Answers a call after a while; where waves are announced, only once a whole wave has arrived."""
        if not self.waves:
            self.loop.call_later(self.answer_s, connection.answer, stream)
            return
        self._arrived.append((connection, stream))
        if len(self._arrived) == self.waves[0]:
            del self.waves[0]
            for each, its_stream in self._arrived:
                each.answer(its_stream)
            self._arrived.clear()

    def drop_connections(self) -> None:
        """Cuts every connection, with all calls on it."""
        self.loop.call_soon_threadsafe(lambda: [connection.transport.abort() for connection in set(self.open)])


class _Connection(asyncio.Protocol):
    def __init__(self, server: Http2Server) -> None:
        self._server = server
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._bodies: dict[int, bytearray] = {}
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._server.connections += 1
        self._server.open.add(self)
        self._h2.initiate_connection()
        self._h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: self._server.streams})
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.open.discard(self)

    def data_received(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            if isinstance(event, RequestReceived):
                self._server.requests.append(dict(event.headers))
                self._bodies[event.stream_id] = bytearray()
                self._server.peak = max(self._server.peak, len(self._bodies))
            elif isinstance(event, DataReceived):
                self._bodies[event.stream_id] += event.data
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                self._server.arrived(self, event.stream_id)
        self._flush()

    def answer(self, stream: int) -> None:
        self._server.bodies.append(bytes(self._bodies.pop(stream)))
        with suppress(ProtocolError):  # the client may have given the call up
            self._h2.send_headers(stream, [(":status", "200"), ("content-type", "application/json")])
            self._h2.send_data(stream, ANSWER, end_stream=True)
            self._flush()

    def _flush(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self._h2.data_to_send())


@contextmanager
def serve_http2(
    certificate: Certificate, *, answer_s: float = 0.0, streams: int = 100, waves: tuple[int, ...] = ()
) -> Iterator[Http2Server]:
    """Runs a server while the block runs."""
    server = Http2Server(answer_s, streams, waves)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate.pair)
    context.set_alpn_protocols(["h2"])
    listening = server.loop.run_until_complete(
        server.loop.create_server(lambda: _Connection(server), "127.0.0.1", 0, ssl=context)
    )
    server.port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=server.loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.drop_connections()
        server.loop.call_soon_threadsafe(server.loop.call_later, 0.05, server.loop.stop)
        thread.join(10)
        listening.close()
        server.loop.run_until_complete(server.loop.shutdown_asyncgens())
        server.loop.close()

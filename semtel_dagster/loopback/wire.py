"""HTTP/1.1 on a bare asyncio protocol: one request at a time on a kept-alive connection.

Only what a loopback server needs: request line, headers, bodies by content-length or chunks. It knows nothing of
models or scripts. A request that comes before the last one is answered waits in the buffer.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from time import monotonic
from typing import cast

MAX_HEAD = 65_536
MAX_BODY = 256 * 1024 * 1024
REASONS = {
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    404: b"Not Found",
    405: b"Method Not Allowed",
    413: b"Content Too Large",
    422: b"Unprocessable Content",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
}
JSON = b"application/json"
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with zero seconds: close sends RST


class Request:
    """A request read in full."""

    __slots__ = ("_head", "_lower", "body", "method", "path", "query")

    def __init__(self, head: bytes, lower: bytes) -> None:
        line = head[: head.index(b"\r\n")] if b"\r\n" in head else head
        parts = line.split(b" ")
        if len(parts) != 3 or not parts[2].startswith(b"HTTP/1."):
            raise ValueError("not an HTTP/1.x request line")
        self.method = parts[0].decode("latin-1")
        path, _, query = parts[1].partition(b"?")
        self.path = path.decode("latin-1")
        self.query = query.decode("latin-1")
        self._head = head
        self._lower = lower
        self.body = b""

    def header(self, name: bytes) -> bytes:
        """The value of a header (name in lower case), empty if absent."""
        at = self._lower.find(b"\r\n" + name + b":")
        if at < 0:
            return b""
        start = at + len(name) + 3
        end = self._head.find(b"\r\n", start)
        return self._head[start : end if end >= 0 else None].strip()


def render(status: int, body: bytes, headers: bytes = b"", content_type: bytes = JSON) -> bytes:
    """A whole reply; `headers` are further lines, each ending in CRLF."""
    return b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b" % (
        status,
        REASONS.get(status, b"Status"),
        content_type,
        len(body),
        headers,
        body,
    )


class Connection(asyncio.Protocol):
    """One client connection; hands each request to `serve`, which replies through `reply` or `reset`."""

    def __init__(
        self,
        serve: Callable[[Connection, Request], None],
        opened: Callable[[Connection], None],
        lost: Callable[[Connection], None],
    ) -> None:
        self._serve = serve
        self._opened = opened
        self._lost = lost
        self._buffer = bytearray()
        self._request: Request | None = None
        self._need = 0  # body bytes still to come; -1: chunked
        self._busy = False
        self._keep_alive = True
        self.opened_at = monotonic()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the transport."""
        self.transport = cast("asyncio.Transport", transport)
        self._opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the transport; a reply that comes later goes nowhere."""
        self.transport = None
        self._lost(self)

    def data_received(self, data: bytes) -> None:
        """Reads as far as the data goes."""
        self._buffer += data
        self._advance()

    def _advance(self) -> None:
        if self._busy:
            return
        if self._request is None and not self._read_head():
            return
        if self._read_body():
            request, self._request = self._request, None
            self._busy = True
            assert request is not None
            self._serve(self, request)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                self._refuse(431, b"the header is over 64 KiB")
            return False
        head = bytes(self._buffer[:end])
        lower = head.lower()
        try:
            request = Request(head, lower)
            chunked = b"chunked" in request.header(b"transfer-encoding").lower()
            need = -1 if chunked else int(request.header(b"content-length") or 0)
        except ValueError:
            self._refuse(400, b"not an HTTP/1.1 request")
            return False
        if need > MAX_BODY:
            self._refuse(413, b"the body is over 256 MiB")
            return False
        del self._buffer[: end + 4]
        self._request, self._need = request, need
        connection = request.header(b"connection").lower()
        self._keep_alive = b"close" not in connection
        if request.header(b"expect").lower() == b"100-continue" and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _read_body(self) -> bool:
        assert self._request is not None
        if self._need >= 0:
            if len(self._buffer) < self._need:
                return False
            self._request.body = bytes(self._buffer[: self._need])
            del self._buffer[: self._need]
            return True
        return self._read_chunks()

    def _read_chunks(self) -> bool:
        """Takes every complete chunk out of the buffer; true once the last one has come."""
        assert self._request is not None
        at = 0
        parts: list[bytes] = []
        try:
            while (line := self._buffer.find(b"\r\n", at)) >= 0:
                size = int(bytes(self._buffer[at:line]).split(b";")[0], 16)
                if size == 0:
                    end = self._buffer.find(b"\r\n", line + 2)
                    if end < 0:
                        break
                    at = end + 2
                    if end == line + 2:
                        self._request.body += b"".join(parts)
                        del self._buffer[:at]
                        return True
                    self._refuse(400, b"trailers are not read")
                    return False
                if len(self._buffer) < line + 2 + size + 2:
                    break
                parts.append(bytes(self._buffer[line + 2 : line + 2 + size]))
                at = line + 2 + size + 2
        except ValueError:
            self._refuse(400, b"a chunk has no size")
            return False
        self._request.body += b"".join(parts)
        del self._buffer[:at]
        return False

    def _refuse(self, status: int, why: bytes) -> None:
        self._keep_alive = False
        self._busy = True
        self.reply(render(status, why, b"connection: close\r\n", b"text/plain"))

    @property
    def gone(self) -> bool:
        """Whether the client has closed the connection."""
        return self.transport is None or self.transport.is_closing()

    def reply(self, whole: bytes) -> None:
        """Sends a whole reply and goes on to the next request."""
        self.send(whole)
        self.done()

    def send(self, piece: bytes) -> None:
        """Sends a part of a reply."""
        if not self.gone:
            assert self.transport is not None
            self.transport.write(piece)

    def done(self) -> None:
        """Ends a reply that was sent in pieces."""
        self._busy = False
        if not self._keep_alive:
            self.close()
        elif self._buffer and not self.gone:
            asyncio.get_running_loop().call_soon(self._advance)

    def close(self) -> None:
        """Closes in order, once everything is sent."""
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """Closes with a TCP reset."""
        if self.transport is None:
            return
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

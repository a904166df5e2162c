"""HTTP clients behind one narrow interface, as our path uses one: bytes out, an outcome back.

Belongs here: one adapter per client library, each as fast as its documentation allows. All verify certificates, keep
connections alive and read the reply with `read_reply`; only what is named "by hand" leaves out what a real client does.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from semtel_dagster.requests.outcome import Outcome
from semtel_dagster.requests.reply import read_reply

Send = Callable[[bytes], Awaitable[Outcome]]
HEADERS = {"content-type": "application/json", "authorization": "Bearer none"}
TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Target:
    """Where calls go, and how.

    Attributes:
        url: The address of chat completions.
        in_flight: Calls at once.
        authority: File of the certificate to trust; None: no TLS.
        http2: Whether to speak HTTP/2.
    """

    url: str
    in_flight: int
    authority: str | None
    http2: bool

    def tls(self) -> ssl.SSLContext | None:
        """A context that trusts the authority."""
        return ssl.create_default_context(cafile=self.authority) if self.authority else None


@asynccontextmanager
async def pyreqwest(target: Target) -> AsyncIterator[Send]:
    """Our transport as it is; it takes the authority from the environment."""
    from semtel_dagster.requests.transport import HttpTransport

    transport = HttpTransport({"authorization": "Bearer none"}, target.in_flight, http2=target.http2)

    async def send(body: bytes) -> Outcome:
        return await transport.post(target.url, body, TIMEOUT_S)

    yield send
    await transport.close()


@asynccontextmanager
async def aiohttp(target: Target) -> AsyncIterator[Send]:
    from aiohttp import ClientSession, ClientTimeout, TCPConnector

    secure = target.tls() or True
    timeout = ClientTimeout(total=TIMEOUT_S)
    async with ClientSession(connector=TCPConnector(limit=0, ssl=secure), headers=HEADERS, timeout=timeout) as session:

        async def send(body: bytes) -> Outcome:
            async with session.post(target.url, data=body) as response:
                return read_reply(response.status, await response.read(), response.headers.get)

        yield send


@asynccontextmanager
async def pyqwest(target: Target) -> AsyncIterator[Send]:
    from pyqwest import Client, HTTPTransport, HTTPVersion

    transport = HTTPTransport(
        tls_ca_cert=Path(target.authority).read_bytes() if target.authority else None,
        http_version=HTTPVersion.HTTP2 if target.http2 else HTTPVersion.HTTP1,
        timeout=TIMEOUT_S,
        pool_max_idle_per_host=target.in_flight,
        enable_otel=False,
    )
    async with transport:
        client = Client(transport)

        async def send(body: bytes) -> Outcome:
            response = await client.post(target.url, HEADERS, body)
            return read_reply(response.status, response.content, response.headers.get)

        yield send


@asynccontextmanager
async def httpx2(target: Target) -> AsyncIterator[Send]:
    from httpx2 import AsyncClient, Limits

    secure = target.tls() or True
    limits = Limits(max_connections=None, max_keepalive_connections=target.in_flight)
    async with AsyncClient(
        verify=secure, limits=limits, http2=target.http2, timeout=TIMEOUT_S, headers=HEADERS
    ) as client:

        async def send(body: bytes) -> Outcome:
            response = await client.post(target.url, content=body)
            return read_reply(response.status_code, response.content, response.headers.get)

        yield send


@asynccontextmanager
async def niquests(target: Target) -> AsyncIterator[Send]:
    from niquests import AsyncSession

    session = AsyncSession(
        pool_connections=4, pool_maxsize=target.in_flight, disable_http2=not target.http2, disable_http3=True
    )
    session.headers.update(HEADERS)

    async def send(body: bytes) -> Outcome:
        response = await session.post(target.url, data=body, timeout=TIMEOUT_S, verify=target.authority or True)
        return read_reply(int(response.status_code or 0), response.content or b"", response.headers.get)

    yield send
    await session.close()


@asynccontextmanager
async def streams_by_hand(target: Target) -> AsyncIterator[Send]:
    """asyncio's streams: a floor. No proxy, no chunked replies, no time limits, no reconnecting."""
    parts = urlsplit(target.url)
    secure = target.tls()
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    opening = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\n{head}content-length: ".encode()
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(body: bytes) -> Outcome:
        if not idle:
            idle.append(await asyncio.open_connection(parts.hostname, parts.port, ssl=secure))
        reader, writer = connection = idle.pop()
        writer.write(b"%b%d\r\n\r\n%b" % (opening, len(body), body))
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines if line)
        content = await reader.readexactly(int(headers[b"content-length"]))
        idle.append(connection)
        return read_reply(int(status[9:12]), content, lambda name: headers.get(name.encode(), b"").decode() or None)

    yield send
    for _, writer in idle:
        writer.close()


CLIENTS: dict[str, Callable[..., Any]] = {
    "pyreqwest": pyreqwest,
    "aiohttp": aiohttp,
    "pyqwest": pyqwest,
    "httpx2": httpx2,
    "niquests": niquests,
    "streams by hand": streams_by_hand,
}
HTTP2 = ("pyreqwest", "pyqwest", "httpx2", "niquests")
SLOW = ("httpx2", "niquests")

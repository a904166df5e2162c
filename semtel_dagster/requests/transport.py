"""Bytes over HTTP: keep-alive connections, HTTP/2 where it is asked for, TLS, proxies and certificates by environment.

Belongs here: sending a body and getting status, headers and body back. What a reply means belongs in `reply`, what a
fault of the network means in `network`. Proxies come from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, which the
client library reads itself.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from semtel_dagster.errors import SettingsError
from semtel_dagster.requests.credentials import FreshToken, TokenError
from semtel_dagster.requests.network import certificate_variable, fault_outcome, own_certificates, proxies_are_off
from semtel_dagster.requests.outcome import Kind, Outcome
from semtel_dagster.requests.reply import Header, read_reply

CONNECT_TIMEOUT_S = 10.0
STREAMS = 100  # RFC 9113 recommends servers to allow no fewer
PING_S = 10.0


@dataclass(frozen=True)
class HttpReply:
    """A reply as it came."""

    status: int
    body: bytes
    header: Header


class HttpTransport:
    """Talks to one endpoint; made and used inside a running event loop.

    One client of the library holds one HTTP/2 connection per host, and calls beyond what the server allows on it wait
    inside. So with HTTP/2 there is a client for each hundred calls in flight. Until a reply shows that the server
    speaks HTTP/2, calls at once open a connection each; later clients know it beforehand and open one.
    """

    def __init__(
        self, headers: Mapping[str, str], connections: int, *, http2: bool = False, token: FreshToken | None = None
    ) -> None:
        """Opens no connection yet.

        Args:
            headers: Sent with every request; they may hold the key, so they are shown nowhere.
            connections: Idle connections kept alive, at most.
            http2: Whether to speak HTTP/2 over TLS with servers that offer it.
            token: Gives the authorization header where it changes.

        Raises:
            SettingsError: The environment's certificates cannot be read.
        """
        load_client_library()
        self._headers = {"content-type": "application/json", **headers}
        self._connections = connections
        self._http2 = http2
        self._spoken = False
        self._token = token
        self._certificates = own_certificates()
        self._clients: list[Any] = []
        self._free: list[Any] = []  # a place per call that a client has room for
        self._free.append(self._open())
        self._timeouts: dict[int, timedelta] = {}

    async def post(self, url: str, body: bytes, timeout: float) -> Outcome:
        """Sends a chat completion request and reads what its reply means; a network fault is an outcome too."""
        from pyreqwest.exceptions import RequestError

        client = self._free.pop() if self._free else self._open()
        try:
            request = client.post(url).body_bytes(body).timeout(self._timeout(timeout))
            if self._token is not None:
                request = request.header("authorization", await self._token.header())
            response = await request.build().send()
            content = await response.bytes()
            if self._http2 and not self._spoken:
                self._spoken = response.version == "HTTP/2.0"
        except RequestError as error:
            return fault_outcome(error)
        except TokenError:
            return Outcome(Kind.UNUSABLE, "no_token")
        finally:
            self._free.append(client)
        return read_reply(response.status, content.to_bytes(), response.get_header)

    async def get(self, url: str, timeout: float) -> HttpReply:
        """Gets a page, e.g. the list of models.

        Raises:
            ConnectionError: No reply; the message is a reason code.
        """
        from pyreqwest.exceptions import RequestError

        try:
            request = self._clients[0].get(url).timeout(self._timeout(timeout))
            if self._token is not None:
                request = request.header("authorization", await self._token.header())
            response = await request.build().send()
            content = await response.bytes()
        except RequestError as error:
            raise ConnectionError(fault_outcome(error).code) from None
        except TokenError:
            raise ConnectionError("no_token") from None
        return HttpReply(response.status, content.to_bytes(), response.get_header)

    async def close(self) -> None:
        """Closes every connection."""
        if self._token is not None:
            await self._token.close()
        for client in self._clients:
            await client.close()

    def _open(self) -> Any:
        """One more client, with room for as many calls as belong on it."""
        from pyreqwest.client import ClientBuilder
        from pyreqwest.exceptions import BuilderError

        builder = (
            ClientBuilder()
            .default_headers(self._headers)
            .user_agent("semtel-dagster")
            .follow_redirects(False)
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .connect_timeout(timedelta(seconds=CONNECT_TIMEOUT_S))
            .pool_max_idle_per_host(self._connections)
        )
        if self._http2:
            # A connection that died silently would take every call that is put on it; pings find it.
            ping = timedelta(seconds=PING_S)
            builder = builder.http2_prior_knowledge() if self._spoken else builder.http2(True)
            builder = builder.http2_keep_alive_interval(ping).http2_keep_alive_timeout(ping)
        if proxies_are_off():
            builder = builder.no_proxy()
        for certificate in self._certificates:
            builder = builder.add_root_certificate_pem(certificate)
        try:
            client = builder.build()
        except BuilderError:
            raise SettingsError(
                f"a certificate in the file that {certificate_variable()} names cannot be read; correct or unset it"
            ) from None
        self._clients.append(client)
        room = STREAMS if self._http2 else max(self._connections, STREAMS)
        self._free.extend([client] * (room - 1))
        return client

    def _timeout(self, seconds: float) -> timedelta:
        """A timedelta by tenths of a second, made once each: making one costs more than looking it up."""
        tenths = max(1, round(seconds * 10))
        found = self._timeouts.get(tenths)
        if found is None:
            found = self._timeouts[tenths] = timedelta(seconds=tenths / 10)
        return found


def load_client_library() -> None:
    """Imports pyreqwest in a thread that never ends.

    pyreqwest 0.15 crashes the process when the thread that first imported it has ended and another one uses it; the
    loop's thread ends with each run, and engines import in threads of their pools.
    """
    if "pyreqwest.client" in sys.modules:
        return
    if threading.current_thread() is threading.main_thread():
        import pyreqwest.client  # noqa: F401

        return
    imported = threading.Event()
    threading.Thread(target=_import_and_stay, args=(imported,), name="semtel-http", daemon=True).start()
    imported.wait()


def _import_and_stay(imported: threading.Event) -> None:
    try:
        import pyreqwest.client  # noqa: F401
    finally:
        imported.set()
    threading.Event().wait()

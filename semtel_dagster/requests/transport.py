"""Bytes over HTTP: one client per endpoint, keep-alive connections, TLS, proxies and certificates by environment.

Belongs here: sending a body and getting status, headers and body back, or a network fault. What they mean belongs in
`reply`.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from semtel_dagster.errors import SettingsError
from semtel_dagster.requests.outcome import Kind, Outcome
from semtel_dagster.requests.reply import Header, read_reply

CONNECT_TIMEOUT_S = 10.0
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class HttpReply:
    """A reply as it came."""

    status: int
    body: bytes
    header: Header


class HttpTransport:
    """Talks to one endpoint; made and used inside a running event loop."""

    def __init__(self, headers: Mapping[str, str], connections: int) -> None:
        """Opens nothing yet.

        Args:
            headers: Sent with every request; they may hold the key, so they are shown nowhere.
            connections: Idle connections kept alive, at most.
        """
        load_client_library()
        from pyreqwest.client import ClientBuilder

        builder = (
            ClientBuilder()
            .default_headers({"content-type": "application/json", **headers})
            .user_agent("semtel-dagster")
            .follow_redirects(False)
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .connect_timeout(timedelta(seconds=CONNECT_TIMEOUT_S))
            .pool_max_idle_per_host(connections)
        )
        for certificate in _own_certificates():
            builder = builder.add_root_certificate_pem(certificate)
        self._client: Any = builder.build()
        self._timeouts: dict[int, timedelta] = {}

    async def post(self, url: str, body: bytes, timeout: float) -> Outcome:
        """Sends a chat completion request and reads what its reply means; a network fault is an outcome too."""
        from pyreqwest.exceptions import RequestError, RequestTimeoutError

        try:
            response = await self._client.post(url).body_bytes(body).timeout(self._timeout(timeout)).build().send()
            content = await response.bytes()
        except RequestTimeoutError:
            return Outcome(Kind.OVERLOADED, "timeout")
        except RequestError as error:
            return Outcome(Kind.TRANSIENT, _network_code(error))
        return read_reply(response.status, content.to_bytes(), response.get_header)

    async def get(self, url: str, timeout: float) -> HttpReply:
        """Gets a page, e.g. the list of models.

        Raises:
            ConnectionError: No reply; the message is a reason code.
        """
        from pyreqwest.exceptions import RequestError

        try:
            response = await self._client.get(url).timeout(self._timeout(timeout)).build().send()
            content = await response.bytes()
        except RequestError as error:
            raise ConnectionError(_network_code(error)) from None
        return HttpReply(response.status, content.to_bytes(), response.get_header)

    async def close(self) -> None:
        """Closes every connection."""
        await self._client.close()

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


def _network_code(error: Any) -> str:
    """A reason code for a network fault; pyreqwest calls a connection that was cut while sending a ConnectError too."""
    name = type(error).__name__
    causes = " ".join(str(cause.get("message")) for cause in (error.details.get("causes") or ()))
    if name == "ConnectTimeoutError":
        return "connect_timeout"
    if name == "ConnectError" and "(SendRequest)" not in causes:
        return "unreachable"
    if name in {"ConnectError", "ReadError", "WriteError", "BodyDecodeError"}:
        return "connection_lost"
    return "network_error"


def _own_certificates() -> list[bytes]:
    """Certificates of the file that the environment names, as PEM blocks."""
    for variable in CERTIFICATE_VARIABLES:
        named = os.environ.get(variable)
        if named:
            path = Path(named)
            if not path.is_file():
                raise SettingsError(f"{variable} names {named}, which is no file; correct or unset it")
            return _PEM.findall(path.read_bytes())
    return []

"""Faults of the network as reason codes, and what the environment says about certificates and proxies.

Belongs here: what goes wrong before there is a reply. Replies belong in `reply`, sending in `transport`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

from semtel_dagster.errors import SettingsError
from semtel_dagster.requests.outcome import Kind, Outcome

CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SIGNS = (
    ("certificate expired", "certificate_expired"),
    ("certificate not valid yet", "certificate_expired"),
    ("not valid for name", "certificate_wrong_host"),
    ("invalid peer certificate", "certificate_untrusted"),
    ("tunnel error: proxy authorization", "proxy_login"),
    ("tunnel error: unsuccessful", "proxy_refused"),
    ("tunnel error", "proxy_unreachable"),
    ("dns error", "dns_error"),
    ("corrupt message", "no_tls"),
    ("tls handshake", "tls_error"),
    ("alert", "tls_error"),
)
_LASTING = {
    "certificate_expired", "certificate_wrong_host", "certificate_untrusted", "proxy_login", "no_tls",
}  # fmt: skip


def fault_outcome(error: Any) -> Outcome:
    """What a RequestError of pyreqwest means; faults that waiting does not mend are the endpoint's, as a wrong key."""
    code = _code(error)
    if code == "timeout":
        return Outcome(Kind.OVERLOADED, code)
    return Outcome(Kind.UNUSABLE if code in _LASTING else Kind.TRANSIENT, code)


def _code(error: Any) -> str:
    """A reason code; pyreqwest calls a connection that was cut while sending a ConnectError too."""
    name = type(error).__name__
    if name == "ConnectTimeoutError":
        return "connect_timeout"
    if name.endswith("TimeoutError"):
        return "timeout"
    if name == "ConnectError":
        causes = " ".join(str(cause.get("message")) for cause in (error.details.get("causes") or ())).lower()
        found = next((code for sign, code in _SIGNS if sign in causes), None)
        if found:
            return found
        return "connection_lost" if "(sendrequest)" in causes else "unreachable"
    return "connection_lost" if name in {"ReadError", "WriteError", "BodyDecodeError"} else "network_error"


def certificate_variable() -> str | None:
    """The environment's variable that names a file of certificates, if any does."""
    return next((variable for variable in CERTIFICATE_VARIABLES if os.environ.get(variable)), None)


def own_certificates() -> list[bytes]:
    """Certificates of the file that the environment names, as PEM blocks; they are trusted beside the usual ones.

    Raises:
        SettingsError: The variable names no file, or one without a certificate.
    """
    variable = certificate_variable()
    if variable is None:
        return []
    path = Path(os.environ[variable])
    if not path.is_file():
        raise SettingsError(f"{variable} names {path}, which is no file; correct or unset it")
    found = _PEM.findall(path.read_bytes())
    if not found:
        raise SettingsError(f"{variable} names {path}, which holds no PEM certificate; correct or unset it")
    return found


def proxies_are_off() -> bool:
    """Whether NO_PROXY excepts every host; the client library knows "*" for names only, not for IP addresses."""
    return (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").strip() == "*"


def proxy_variable(address: str) -> str | None:
    """The environment's variable that sends calls to this address through a proxy; None where they go straight.

    Its value is never told: it may hold a login.
    """
    parts = urlsplit(address)
    if proxy_bypass(parts.hostname or ""):
        return None
    names = (f"{parts.scheme}_proxy", "all_proxy")
    return next((cased for name in names for cased in (name.upper(), name) if os.environ.get(cased)), None)

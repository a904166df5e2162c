"""A call's fault in words: what happened, where, and the mend.

Belongs here: sentences for `semtel check`, one per reason code. Keys, tokens and proxies' logins are never in them.
"""

from __future__ import annotations

from semtel_dagster.requests.credentials import ENTRA_ROLE
from semtel_dagster.requests.network import proxy_variable
from semtel_dagster.requests.outcome import Outcome
from semtel_dagster.requests.transport import CONNECT_TIMEOUT_S
from semtel_dagster.settings import EndpointSettings

TIMEOUT_S = 20.0
_TRUST = "set SSL_CERT_FILE to the PEM file of the authority that signed it"


def explain(endpoint: EndpointSettings, outcome: Outcome, known: list[str]) -> str:
    """A fault of a small call in a sentence with its mend.

    Args:
        endpoint: The endpoint that was asked.
        outcome: No answer.
        known: Models that the endpoint lists; empty where it lists none.
    """
    address = str(endpoint.base_url)
    if outcome.status is not None and 300 <= outcome.status < 400:
        return (
            f"{address} redirects elsewhere (HTTP {outcome.status}), which calls with a key do not follow; set "
            "base_url to where it leads, e.g. https:// in place of http://"
        )
    proxy = proxy_variable(address)
    words = (
        _of_network(address, proxy).get(outcome.code)
        or _of_proxy(address, proxy).get(outcome.code)
        or _of_access(endpoint, address, proxy).get(outcome.code)
        or _of_service(endpoint, address, known).get(outcome.code)
    )
    return words or f"a call to {address} failed: {outcome.reason}; try again, or look into the server's log"


def _of_network(address: str, proxy: str | None) -> dict[str, str]:
    through = f" through the proxy in {proxy}" if proxy else ""
    also = f", and the proxy in {proxy}" if proxy else ""
    return {
        "unreachable": f"nothing listens at {address}{through}; start the server or correct base_url{also}",
        "dns_error": f"no host has the name in {address}; correct base_url, or see whether this machine reaches a DNS",
        "connect_timeout": f"no connection to {address}{through} within {CONNECT_TIMEOUT_S:.0f} s; check the address, "
        "proxy and firewall",
        "timeout": f"no answer from {address}{through} within {TIMEOUT_S:.0f} s; is the model loaded, and http:// or "
        "https:// right?",
        "connection_lost": f"{address}{through} closed the connection without an answer; is http:// or https:// right, "
        "and the server healthy?",
        "certificate_untrusted": f"the certificate of {address} is signed by nobody this machine trusts; {_TRUST}",
        "certificate_expired": f"the certificate of {address} has expired, or this machine's clock is wrong",
        "certificate_wrong_host": f"the certificate of {address} is for another host name; use that name in base_url",
        "no_tls": f"{address} does not speak TLS; write http:// in base_url",
        "tls_error": f"{address} and this machine agree on no secure connection; see the server's TLS settings",
    }


def _of_proxy(address: str, proxy: str | None) -> dict[str, str]:
    name = f"the proxy in {proxy}" if proxy else "the proxy"
    around = f"or name the host of {address} in NO_PROXY"
    return {
        "proxy_login": f"{name} wants a login; write it as http://name:password@host:port, {around}",
        "proxy_refused": f"{name} does not connect to {address}; ask for access, {around}",
        "proxy_unreachable": f"{name} is not there; correct or unset the variable, {around}",
    }


def _of_access(endpoint: EndpointSettings, address: str, proxy: str | None) -> dict[str, str]:
    variable = endpoint.api_key_env
    entra = endpoint.kind == "azure" and not variable
    barrier = f", or the proxy in {proxy} bars the way" if proxy else ""
    if entra:
        return {
            "no_token": "this machine's Azure identity gave no token; sign in (az login), give it a managed identity, "
            "or name the variable with a key in api_key_env",
            "unauthorized": f"{address} does not accept this machine's Azure identity; give it the role {ENTRA_ROLE}",
            "forbidden": f"{address} forbids this machine's Azure identity the call{barrier}; give it the role "
            f"{ENTRA_ROLE}",
        }
    return {
        "unauthorized": f"{address} does not accept the key in {variable}; export the right one"
        if variable
        else f"{address} wants a key; name its variable in api_key_env",
        "forbidden": f"{address} forbids this key to use {endpoint.model}{barrier}; ask for access or choose another "
        "model"
        if variable
        else f"{address} forbids calls without a key{barrier}; name its variable in api_key_env",
    }


def _of_service(endpoint: EndpointSettings, address: str, known: list[str]) -> dict[str, str]:
    models = f"; it offers {', '.join(known)}" if known else ""
    deployment = endpoint.kind == "azure" and endpoint.api_version
    return {
        "insufficient_quota": f"the account at {address} has no quota or money left; add some or use another key",
        "no_money": f"the account at {address} has no money left",
        "not_found": f"{address} has no deployment {endpoint.model!r}, or not in api_version {endpoint.api_version}; "
        "correct model (the deployment's name), api_version or base_url"
        if deployment
        else f"{address} knows no model {endpoint.model!r}{models}; correct model or base_url",
        "poisoned_reply": f"{address} answers, but with no chat completion; base_url should end where "
        "/chat/completions begins, e.g. in /v1",
        "bad_request": f"{address} does not take the request (HTTP 400); is it an OpenAI-compatible server, and "
        "http:// or https:// right?",
        "overloaded": f"{address} says that it is overloaded or still starting; try again in a minute",
        "server_error": f"{address} fails with an error of its own; look into the server's log",
    }

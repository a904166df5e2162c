"""Asking one endpoint about one transcript: over HTTP, or of a model in this process.

Belongs here: addresses, what an endpoint turned out not to support. When to call and what to do about a fault
belongs in `engine`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote, urlsplit

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.requests.body import BodyTemplate, compile_body
from semtel_dagster.requests.capabilities import Capabilities
from semtel_dagster.requests.credentials import FreshToken, entra_provider, key_of
from semtel_dagster.requests.outcome import Kind, Outcome
from semtel_dagster.requests.transport import HttpTransport
from semtel_dagster.settings import EndpointSettings


class Caller(Protocol):
    """One endpoint, as the engine sees it."""

    @property
    def model(self) -> str:
        """The model's name, as it is recorded with each answer."""
        ...

    async def call(self, transcript: str, timeout: float) -> Outcome:
        """Asks about one transcript; never raises for what an endpoint does."""
        ...

    async def close(self) -> None:
        """Lets go of connections and threads."""
        ...


@dataclass(frozen=True)
class Address:
    """Where an endpoint's chat completions are, and the headers that open it."""

    url: str
    models_url: str | None
    headers: dict[str, str] = field(repr=False)


def address_of(endpoint: EndpointSettings) -> Address:
    """Reads the key from the environment and builds the address by the endpoint's kind.

    Azure's deployment paths are used where `api_version` is set, its v1 path otherwise. An Azure endpoint without a
    key signs in with Entra: its token changes, so it is no part of the address.

    Raises:
        SettingsError: The variable that should hold the key is empty.
    """
    base = (endpoint.base_url or "").rstrip("/").removesuffix("/chat/completions")
    key = key_of(endpoint)
    if endpoint.kind == "azure":
        headers = {"api-key": key} if key else {}
        parts = urlsplit(base)
        root = f"{parts.scheme}://{parts.netloc}{parts.path.partition('/openai')[0].removesuffix('/v1')}"
        if endpoint.api_version:
            deployment = f"{root}/openai/deployments/{quote(str(endpoint.model), safe='')}"
            return Address(f"{deployment}/chat/completions?api-version={quote(endpoint.api_version)}", None, headers)
        return Address(f"{root}/openai/v1/chat/completions", f"{root}/openai/v1/models", headers)
    return Address(f"{base}/chat/completions", f"{base}/models", {"authorization": f"Bearer {key}"} if key else {})


def transport_of(endpoint: EndpointSettings, connections: int) -> HttpTransport:
    """A transport with what opens the endpoint; must run inside the event loop.

    Raises:
        SettingsError: The key is missing, or no Azure credential is at hand, or a certificate cannot be read.
    """
    entra = endpoint.kind == "azure" and not endpoint.api_key_env
    token = FreshToken(entra_provider()) if entra else None
    return HttpTransport(address_of(endpoint).headers, connections, http2=endpoint.http2, token=token)


class HttpCaller:
    """An OpenAI-compatible endpoint; what it does not support is learned once and left out from then on."""

    def __init__(
        self, endpoint: EndpointSettings, prompt: CompiledPrompt, capabilities: Capabilities, connections: int
    ) -> None:
        """Reads the key; must run inside the event loop.

        Raises:
            SettingsError: The key is missing.
        """
        self.model = endpoint.model or prompt.model or ""
        self._prompt = prompt
        self._url = address_of(endpoint).url
        self._capabilities = capabilities
        self._transport = transport_of(endpoint, connections)
        self._template = self._compile()

    async def call(self, transcript: str, timeout: float) -> Outcome:
        """Asks about one transcript."""
        template = self._template
        outcome = await self._transport.post(self._url, template.render(transcript), timeout)
        if outcome.kind is Kind.UNSUPPORTED:
            self._leave_out(outcome, template)
        return outcome

    async def close(self) -> None:
        """Closes every connection."""
        await self._transport.close()

    def _compile(self) -> BodyTemplate:
        return compile_body(self._prompt, self.model, self._capabilities.lacking)

    def _leave_out(self, outcome: Outcome, sent: BodyTemplate) -> None:
        """Forgets the parameter, unless another call's reply already did; a second refusal of it is the row's end."""
        if sent is not self._template:
            return
        before = self._capabilities.lacking
        self._capabilities.leave_out(outcome.parameter)
        if self._capabilities.lacking == before:
            outcome.kind, outcome.code = Kind.ROW_FAULT, "bad_request"
        else:
            self._template = self._compile()

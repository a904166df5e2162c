"""Asking one endpoint about one transcript: over HTTP, or of a model in this process.

Belongs here: addresses, keys, what an endpoint turned out not to support. When to call and what to do about a fault
belongs in `engine`.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass, field
from typing import Protocol

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.errors import SettingsError
from semtel_dagster.requests.body import BodyTemplate, compile_body
from semtel_dagster.requests.capabilities import Capabilities
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

    Raises:
        SettingsError: The variable that should hold the key is empty, or no Azure credential is at hand.
    """
    base = (endpoint.base_url or "").rstrip("/")
    key = _key(endpoint)
    if endpoint.kind == "azure":
        headers = {"api-key": key} if key else {"authorization": f"Bearer {_entra_token()}"}
        root = base.removesuffix("/v1").removesuffix("/openai")
        if endpoint.api_version:
            path = f"{root}/openai/deployments/{endpoint.model}/chat/completions?api-version={endpoint.api_version}"
            return Address(path, None, headers)
        return Address(f"{root}/openai/v1/chat/completions", f"{root}/openai/v1/models", headers)
    return Address(f"{base}/chat/completions", f"{base}/models", {"authorization": f"Bearer {key}"} if key else {})


def _key(endpoint: EndpointSettings) -> str | None:
    if not endpoint.api_key_env:
        return None
    key = os.environ.get(endpoint.api_key_env, "").strip()
    if not key:
        raise SettingsError(
            f"endpoint {endpoint.name!r} takes its key from {endpoint.api_key_env}, which is not set; export it"
        )
    return key


def _entra_token() -> str:
    """A token of the machine's Azure identity, through the provider that the openai package documents."""
    try:
        identity = importlib.import_module("azure.identity")
    except ImportError:
        raise SettingsError(
            "an azure endpoint without api_key_env signs in with Entra: pip install azure-identity, or name the "
            "variable that holds its key"
        ) from None
    provider = identity.get_bearer_token_provider(
        identity.DefaultAzureCredential(), "https://cognitiveservices.azure.com/.default"
    )
    return str(provider())


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
        address = address_of(endpoint)
        self._prompt = prompt
        self._url = address.url
        self._capabilities = capabilities
        self._transport = HttpTransport(address.headers, connections)
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

"""What opens an endpoint: a key from the environment, or a token of the machine's Entra identity.

Belongs here: reading keys, and keeping a token fresh while a run lasts. Neither is ever stored, logged or shown.
"""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable
from time import monotonic

from semtel_dagster.errors import SettingsError
from semtel_dagster.settings import EndpointSettings

ENTRA_SCOPE = "https://cognitiveservices.azure.com/.default"
ENTRA_ROLE = "Cognitive Services OpenAI User"
ASK_AGAIN_S = 30.0

TokenProvider = Callable[[], str]
"""The shape of `azure_ad_token_provider` of the openai package: gives a token that is valid now; may block."""


class TokenError(Exception):
    """No token could be had; the message names the kind of fault only."""


def key_of(endpoint: EndpointSettings) -> str | None:
    """The endpoint's key, from the variable that its settings name; None where they name none.

    Raises:
        SettingsError: The variable is not set, or holds what no HTTP header can carry.
    """
    if not endpoint.api_key_env:
        return None
    key = os.environ.get(endpoint.api_key_env, "").strip()
    if not key:
        raise SettingsError(
            f"endpoint {endpoint.name!r} takes its key from {endpoint.api_key_env}, which is not set; export it"
        )
    if not key.isascii() or not key.isprintable():
        raise SettingsError(
            f"endpoint {endpoint.name!r}: {endpoint.api_key_env} holds characters that no key has (a line break, a "
            "quotation mark of a word processor?); export it again"
        )
    return key


def entra_provider() -> TokenProvider:
    """A provider of tokens for the machine's Azure identity, made as the openai package documents it.

    It keeps a token until shortly before it expires, and then gets a new one.

    Raises:
        SettingsError: The package azure-identity is not installed.
    """
    try:
        identity = importlib.import_module("azure.identity")
    except ImportError:
        raise SettingsError(
            "an azure endpoint without api_key_env signs in with Entra: pip install 'semtel-dagster[azure]', or name "
            "the variable that holds its key"
        ) from None
    provider: TokenProvider = identity.get_bearer_token_provider(identity.DefaultAzureCredential(), ENTRA_SCOPE)
    return provider


class FreshToken:
    """A token that is renewed while calls go on with the one before; lives in one event loop.

    The provider may ask a server, so it is called in a thread, at most every `ask_again_s` seconds and never twice at
    a time. It renews minutes before the end of a token's life, so no call ever carries one that has expired.
    """

    def __init__(self, provider: TokenProvider, ask_again_s: float = ASK_AGAIN_S) -> None:
        """Asks for nothing yet."""
        self._provider = provider
        self._ask_again_s = ask_again_s
        self._header = ""
        self._asked_at = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def header(self) -> str:
        """The value of the authorization header.

        Raises:
            TokenError: There is no token yet, and the provider gave none.
        """
        if self._asking is None and (not self._header or monotonic() - self._asked_at >= self._ask_again_s):
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        if not self._header and self._asking is not None:
            await asyncio.shield(self._asking)
        if not self._header:
            raise TokenError("the identity gave no token")
        return self._header

    async def close(self) -> None:
        """Waits for a request under way."""
        if self._asking is not None:
            await self._asking

    async def _ask(self) -> None:
        try:
            self._header = f"Bearer {await asyncio.to_thread(self._provider)}"
        except Exception:  # noqa: BLE001
            pass  # its words may hold what must not be shown; the old token may last until it works again
        finally:
            self._asked_at = monotonic()
            self._asking = None

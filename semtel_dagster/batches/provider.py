"""The provider's files and batches, through the `openai` package: OpenAI, Azure, and servers that speak like them.

Belongs here: one method per thing that is asked of a provider, and its faults as codes. When to ask belongs in
`tending`. Nothing that makes something new is repeated by the package: after a fault the provider is asked by name
whether the thing is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from semtel_dagster.errors import SemtelError
from semtel_dagster.requests.caller import address_of
from semtel_dagster.requests.credentials import entra_provider, key_of
from semtel_dagster.settings import EndpointSettings

if TYPE_CHECKING:
    import openai

TIMEOUT_S = 120.0
UPLOAD_TIMEOUT_S = 1800.0
RETRIES = 3
NAME_KEY = "semtel"
QUOTA_CODE = "token_limit_exceeded"
PAGE, MOST_LISTED = 100, 2000
_LIMIT = re.compile(r"limit:?\s*([\d,]+)", re.IGNORECASE)
_REASONS = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 413: "too_large"}


class ProviderError(SemtelError):
    """The provider could not be asked, or said no; the message is a code, never words of a reply.

    Attributes:
        lasting: Asking again as things are would give the same.
        quota: The enqueued tokens leave no room.
        limit: The quota, where the reply names it.
    """

    def __init__(self, reason: str, *, lasting: bool, quota: bool = False, limit: int | None = None) -> None:
        super().__init__(reason)
        self.lasting = lasting
        self.quota = quota
        self.limit = limit


@dataclass(frozen=True)
class RemoteBatch:
    """A batch as the provider has it.

    Attributes:
        id: The provider's name for it.
        status: validating, in_progress, finalizing, completed, failed, expired, cancelling or cancelled.
        results: Files of results: the output file and the error file, where they are.
        input_file: The file that it works on.
        fault: Why it failed, as a code; empty where it did not.
        limit: The quota that a `token_limit_exceeded` names.
        done: Requests that are worked off.
    """

    id: str
    status: str
    results: tuple[str, ...]
    input_file: str
    fault: str = ""
    limit: int | None = None
    done: int = 0


class Provider(Protocol):
    """What is asked of a provider; every method raises ProviderError."""

    @property
    def url(self) -> str:
        """The address that every line of a file names."""
        ...

    def find_file(self, filename: str) -> str | None:
        """The file of a name, if it was uploaded."""
        ...

    def upload(self, path: Path, filename: str) -> str:
        """Uploads a batch's file; its id."""
        ...

    def is_ready(self, file: str) -> bool:
        """Whether a file may be used: Azure looks at it for a while."""
        ...

    def find_batches(self, name: str) -> list[RemoteBatch]:
        """The batches of one of our names, the oldest first: one, unless something went wrong."""
        ...

    def create(self, file: str, name: str) -> RemoteBatch:
        """Sets a batch going."""
        ...

    def retrieve(self, batch: str) -> RemoteBatch:
        """How a batch stands."""
        ...

    def cancel(self, batch: str) -> None:
        """Ends a batch early; what is worked off stays."""
        ...

    def lines(self, file: str) -> Iterator[bytes]:
        """A file's lines."""
        ...

    def delete(self, file: str) -> None:
        """Removes a file; one that is not there is no fault."""
        ...


class OpenAIProvider:
    """A provider behind an endpoint of the settings."""

    def __init__(self, endpoint: EndpointSettings) -> None:
        """Reads the key; asks nothing yet.

        Raises:
            SettingsError: The key is missing, or no Azure credential is at hand.
        """
        self._client = _client(endpoint)
        # What makes something new is sent once: a reply that is lost may be a batch that is there.
        self._once = self._client.with_options(max_retries=0, timeout=UPLOAD_TIMEOUT_S)
        self.url = "/chat/completions" if endpoint.kind == "azure" else "/v1/chat/completions"

    def find_file(self, filename: str) -> str | None:
        """The file of a name, if it was uploaded."""
        with _faults():
            for number, file in enumerate(self._client.files.list(purpose="batch", limit=PAGE)):
                if file.filename == filename:
                    return file.id
                if number > MOST_LISTED:
                    break
        return None

    def upload(self, path: Path, filename: str) -> str:
        """Uploads a batch's file; its id."""
        with _faults(), path.open("rb") as file:
            return self._once.files.create(file=(filename, file), purpose="batch").id

    def is_ready(self, file: str) -> bool:
        """Whether a file may be used: Azure looks at it for a while."""
        with _faults():
            status = str(self._client.files.retrieve(file).status)
        if status == "error":
            raise ProviderError("file_rejected", lasting=True)
        return status not in {"pending", "running", "notRunning"}

    def find_batches(self, name: str) -> list[RemoteBatch]:
        """The batches of one of our names, the oldest first: one, unless something went wrong."""
        found = []
        with _faults():
            for number, batch in enumerate(self._client.batches.list(limit=PAGE)):
                if (batch.metadata or {}).get(NAME_KEY) == name:
                    found.append(_remote(batch))
                if number > MOST_LISTED:
                    break
        return found[::-1]

    def create(self, file: str, name: str) -> RemoteBatch:
        """Sets a batch going."""
        url: Any = self.url
        with _faults():
            return _remote(
                self._once.batches.create(
                    input_file_id=file, endpoint=url, completion_window="24h", metadata={NAME_KEY: name}
                )
            )

    def retrieve(self, batch: str) -> RemoteBatch:
        """How a batch stands."""
        with _faults():
            return _remote(self._client.batches.retrieve(batch))

    def cancel(self, batch: str) -> None:
        """Ends a batch early; what is worked off stays."""
        with _faults():
            self._client.batches.cancel(batch)

    def lines(self, file: str) -> Iterator[bytes]:
        """A file's lines, split at line feeds only: texts hold other separators."""
        rest = b""
        with _faults(), self._client.files.with_streaming_response.content(file) as reply:
            for piece in reply.iter_bytes():
                *lines, rest = (rest + piece).split(b"\n")
                yield from lines
        if rest:
            yield rest

    def delete(self, file: str) -> None:
        """Removes a file; one that is not there is no fault."""
        try:
            with _faults():
                self._client.files.delete(file)
        except ProviderError as error:
            if not error.lasting:
                raise


def limit_in(message: str) -> int | None:
    """The quota that an error's words name: "Limit: 2,000,000 enqueued tokens"."""
    found = _LIMIT.search(message)
    return int(found[1].replace(",", "")) if found and found[1].strip(",") else None


def _client(endpoint: EndpointSettings) -> openai.OpenAI:
    import openai

    key, address = key_of(endpoint), address_of(endpoint).url
    options: dict[str, Any] = {"timeout": TIMEOUT_S, "max_retries": RETRIES}
    if endpoint.kind != "azure":
        return openai.OpenAI(base_url=address.removesuffix("/chat/completions"), api_key=key or "none", **options)
    root = address.partition("/openai/")[0]
    if endpoint.api_version:
        opened: dict[str, Any] = {"api_key": key} if key else {"azure_ad_token_provider": entra_provider()}
        return openai.AzureOpenAI(azure_endpoint=root, api_version=endpoint.api_version, **opened, **options)
    return openai.OpenAI(base_url=f"{root}/openai/v1", api_key=key or entra_provider(), **options)


@contextmanager
def _faults() -> Iterator[None]:
    """Turns the package's errors into codes."""
    import openai

    try:
        yield
    except openai.APIStatusError as error:
        status = error.status_code
        quota = error.code == QUOTA_CODE or (status == 429 and "enqueued" in str(error.message).lower())
        reason = QUOTA_CODE if quota else _REASONS.get(status, "refused" if status == 429 else "server_error")
        lasting = 400 <= status < 500 and status not in {408, 409, 429} and not quota
        limit = limit_in(str(error.message)) if quota else None
        raise ProviderError(f"{reason} (HTTP {status})", lasting=lasting, quota=quota, limit=limit) from None
    except openai.APIError as error:
        raise ProviderError(type(error).__name__, lasting=False) from None


def _remote(batch: Any) -> RemoteBatch:
    faults = list(batch.errors.data or ()) if batch.errors else []
    quota = next((fault for fault in faults if fault.code == QUOTA_CODE), None)
    return RemoteBatch(
        id=batch.id,
        status=batch.status,
        results=tuple(file for file in (batch.output_file_id, batch.error_file_id) if file),
        input_file=batch.input_file_id,
        fault=quota.code if quota else str(faults[0].code if faults else ""),
        limit=limit_in(str(quota.message)) if quota else None,
        done=(batch.request_counts.completed + batch.request_counts.failed) if batch.request_counts else 0,
    )

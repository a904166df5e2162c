"""A request as the service hands it to the kind of call that its path names.

Belongs here: what every kind reads of a request alike, and the refusal of one that cannot be served. What a kind of
call reads further belongs in `calls` and `embeddings`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from semtel_dagster.loopback import replies
from semtel_dagster.loopback.wire import Connection, Request

Read = TypeVar("Read")


class UnfitError(Exception):
    """A request that this server does not serve; carries the reply."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request and what its path said.

    Attributes:
        connection: Where the reply goes.
        request: The request.
        deployment: The model that an Azure path names, else empty.
        client: For whom the call is counted, else empty.
        azure: Whether errors have Azure's shape.
    """

    connection: Connection
    request: Request
    deployment: str
    client: str
    azure: bool

    def read(self, decode: Callable[[bytes], Read], what: str) -> Read:
        """The body as a value.

        Raises:
            UnfitError: It is not `what`, e.g. "an embeddings request".
        """
        try:
            return decode(self.request.body)
        except msgspec.DecodeError:
            message = f"The body is not {what} in valid JSON."
            raise UnfitError(400, replies.invalid(None, message, None, azure=self.azure)) from None

"""What every call has, whatever it asks for: the narrow type between admission, mishaps and the kinds of calls."""

from __future__ import annotations

from dataclasses import dataclass

from semtel_dagster.loopback.wire import Connection


@dataclass(slots=True, kw_only=True)
class Exchange:
    """A call and its reply to come.

    Attributes:
        connection: Where the reply goes.
        client: The name from `/as/<client>`, else empty.
        azure: Whether errors have Azure's shape.
        prompt_tokens: Tokens of all messages or texts.
        embedding: Whether it is an embeddings call, which is counted apart.
        headers: Further lines of the reply.
        fault: What strikes this call, if anything.
        trickle_s: How long its reply trickles, if that is its fault.
    """

    connection: Connection
    client: str
    azure: bool
    prompt_tokens: int
    embedding: bool = False
    headers: bytes = b""
    fault: str | None = None
    trickle_s: float = 0.0

"""What a call came to: the one value that transports, decoding, limits and the loop speak of.

Belongs here: kinds and fields. Deciding which kind a reply is belongs in `reply`; reacting to it in `engine`.
"""

from __future__ import annotations

from enum import Enum

import msgspec


class Kind(Enum):
    """What a call's outcome means for its row and its endpoint."""

    ANSWERED = "answered"
    REFUSED = "refused"  # by rate or load: the row waits, nothing counts against it
    TRANSIENT = "transient"  # the endpoint or the network failed; the row is tried again
    OVERLOADED = "overloaded"  # as transient, and a sign that too many calls are in flight
    POISONED = "poisoned"  # a reply that is no completion; tried again, kept raw when it is the last
    EMPTY = "empty"  # a completion without text: the endpoint lives; tried once more
    ROW_FAULT = "row_fault"  # would happen again: content filter, too long, bad request
    UNSUPPORTED = "unsupported"  # the endpoint lacks a parameter; asked again without it
    UNUSABLE = "unusable"  # wrong key, unknown model, no money: the endpoint, not the row


class Outcome(msgspec.Struct, gc=False):
    """A call's result.

    Attributes:
        kind: What it means.
        code: A short word for it, e.g. "content_filter"; never text of the reply.
        status: The HTTP status, if there was a reply.
        text: The answer, or the raw reply of a poisoned call.
        finish_reason: The provider's reason to stop.
        logprobs: The provider's JSON, if any.
        input_tokens: Prompt tokens, as the endpoint counted them.
        cached_tokens: Of these, served from the provider's prompt cache.
        output_tokens: Completion tokens.
        retry_after: Seconds that the endpoint asked to wait.
        dimension: Which budget a refusal is about: "requests", "tokens", or "" where unknown.
        parameter: The parameter that is not supported.
        exhausted: Whether a refusal's headers show that nothing remains of a budget.
        announced: Requests and tokens per minute that the headers tell; 0 where they tell none.
    """

    kind: Kind
    code: str = ""
    status: int | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: str | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    retry_after: float | None = None
    dimension: str = ""
    parameter: str = ""
    exhausted: bool = False
    announced: tuple[float, float] = (0.0, 0.0)

    @property
    def reason(self) -> str:
        """The code with the HTTP status, as it stands in the table."""
        return self.code if self.status is None else f"{self.code} (HTTP {self.status})"

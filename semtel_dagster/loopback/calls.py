"""A chat call as the server knows it: read, keyed, checked against what the script's server supports.

Admission, latency and answers belong in `completions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from semtel_dagster.loopback import replies
from semtel_dagster.loopback.answers import Schema
from semtel_dagster.loopback.arrival import Arrival, UnfitError
from semtel_dagster.loopback.chat import (
    ChatRequest,
    decode_chat,
    key_of,
    response_format,
    system_text,
    token_counter,
    transcript_in,
    user_text,
)
from semtel_dagster.loopback.exchange import Exchange
from semtel_dagster.loopback.packs import Block, blocks_in, is_packed
from semtel_dagster.loopback.script import Script

_DEFAULT_OUTPUT = 16  # tokens judged at arrival when a request names no maximum
_KNOWN = 512  # prompts and schemas remembered


@dataclass(slots=True, kw_only=True)
class Call(Exchange):
    """A chat call.

    Attributes:
        request: What was asked.
        body: The request's bytes.
        conversation: Key of the user message.
        transcript: Key of the transcript in it; the same where there is no slot.
        system: The messages before the user's.
        schema: The answer's JSON schema, if one is known.
        blocks: The conversations of a prompt that holds several.
    """

    request: ChatRequest
    body: bytes
    conversation: bytes
    transcript: bytes
    system: str
    schema: Schema | None = None
    blocks: tuple[Block, ...] = ()

    def judged_tokens(self) -> int:
        """What quotas judge at arrival: the prompt and the longest answer allowed."""
        return self.prompt_tokens + (self.request.most_tokens() or _DEFAULT_OUTPUT)


class CallReader:
    """Reads chat calls under one script; remembers the prompts it has met."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.tokens = token_counter(script)
        self._formats: dict[bytes, tuple[str, Schema | None]] = {}
        self._schemas: dict[str, Schema] = {}
        self._static_tokens: dict[str, int] = {}
        self._cached: set[str] = set()

    def read(self, arrival: Arrival) -> Call:
        """Decodes a request and keys it.

        Raises:
            UnfitError: It is not a chat completion request.
        """
        request = arrival.read(decode_chat, "a chat completion request")
        request.model = arrival.deployment or request.model
        text, system = user_text(request), system_text(request)
        conversation = key_of(text)
        header = arrival.request.header(b"x-loopback-slot")
        slotted = transcript_in(text, self._script.slot, header) if header or self._script.slot else text
        return Call(
            connection=arrival.connection,
            request=request,
            body=arrival.request.body,
            client=arrival.client,
            azure=arrival.azure,
            conversation=conversation,
            transcript=conversation if slotted is text else key_of(slotted),
            system=system,
            prompt_tokens=self.tokens(text) + self._count_static(system),
        )

    def check(self, call: Call) -> None:
        """Finds the answer's schema, and whether the script's server serves such a request at all.

        Raises:
            UnfitError: An unsupported parameter, a prompt over the context's length.
        """
        script, request, azure = self._script, call.request, call.azure
        try:
            kind, schema = self._format(bytes(request.response_format))
        except ValueError as fault:
            raise UnfitError(400, replies.invalid(None, str(fault), "response_format", azure=azure)) from None
        call.schema = self._remember(call.system, schema)
        if is_packed(call.schema):
            call.blocks = blocks_in(user_text(request))
        parameter = self._unsupported(request, kind, call.body)
        if parameter is not None:
            raise UnfitError(400, replies.unsupported(parameter, azure=azure))
        longest = script.max_context_tokens
        if longest is not None and call.prompt_tokens > longest:
            raise UnfitError(400, replies.context_length(longest, call.prompt_tokens, azure=azure))

    def cached_tokens(self, call: Call) -> int:
        """Prompt tokens that the provider's cache holds from an earlier call, in steps of 128 as OpenAI counts."""
        if call.system not in self._cached:
            _make_room(self._cached)
            self._cached.add(call.system)
            return 0
        least, static = self._script.cache_from_tokens, self._count_static(call.system)
        return static // 128 * 128 if least is not None and static >= least else 0

    def _unsupported(self, request: ChatRequest, kind: str, body: bytes) -> str | None:
        """The first parameter of the request that this server refuses."""
        if kind == "json_schema" and not self._script.structured_outputs:
            return "response_format"
        if request.logprobs and not self._script.logprobs:
            return "logprobs"
        if request.stream:
            return "stream"
        refused = self._script.unsupported_parameters
        if refused:
            sent: dict[str, Any] = msgspec.json.decode(body)
            return next((name for name in refused if name in sent), None)
        return None

    def _format(self, raw: bytes) -> tuple[str, Schema | None]:
        if raw not in self._formats:
            _make_room(self._formats)
            self._formats[raw] = response_format(raw)
        return self._formats[raw]

    def _remember(self, system: str, schema: Schema | None) -> Schema | None:
        """The schema, or the last one that came with the same system message: a client may have to leave it out."""
        if schema is None:
            return self._schemas.get(system)
        if self._schemas.get(system) is not schema:
            _make_room(self._schemas)
            self._schemas[system] = schema
        return schema

    def _count_static(self, system: str) -> int:
        if system not in self._static_tokens:
            _make_room(self._static_tokens)
            self._static_tokens[system] = self.tokens(system)
        return self._static_tokens[system]


def _make_room(known: dict[Any, Any] | set[str]) -> None:
    if len(known) >= _KNOWN:
        known.clear()

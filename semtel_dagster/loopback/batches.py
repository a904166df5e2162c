"""The life of a batch: validated, worked off after the script's delay, ended as the script says.

Every request of a batch that is worked off is counted as a call and billed, by conversation, as an online call is.
Paths and replies belong in `batch_paths`, kept bytes in `files`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec
import orjson

from semtel_dagster.loopback import replies
from semtel_dagster.loopback.answers import Answerer
from semtel_dagster.loopback.chance import unit
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
from semtel_dagster.loopback.files import Files, StoredFile
from semtel_dagster.loopback.script import Script
from semtel_dagster.loopback.stats import Stats

_CREATED = 1_790_000_000
QUOTA = "token_limit_exceeded"


class Line(msgspec.Struct):
    """A request of a batch file."""

    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


_decode_line = msgspec.json.Decoder(Line).decode


@dataclass
class Batch:
    """A batch of the server; the fields are the API's."""

    id: str
    input_file_id: str
    endpoint: str
    metadata: dict[str, str]
    number: int
    status: str = "validating"
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    tokens: int = 0
    requests: list[tuple[str, ChatRequest]] = field(default_factory=list, repr=False)
    done: int = 0
    failed: int = 0
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def is_open(self) -> bool:
        """Whether its tokens count as enqueued."""
        return self.status in {"validating", "in_progress", "finalizing", "cancelling"}

    def as_json(self) -> dict[str, Any]:
        """The batch object of the API."""
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "input_file_id": self.input_file_id,
            "completion_window": "24h",
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "errors": {"object": "list", "data": self.errors} if self.errors else None,
            "created_at": _CREATED + self.number,
            "metadata": self.metadata,
            "request_counts": {"total": len(self.requests), "completed": self.done, "failed": self.failed},
        }


class Batches:
    """Works batches off; lives in the server's loop."""

    def __init__(self, script: Script, stats: Stats, files: Files, loop: asyncio.AbstractEventLoop) -> None:
        self._stats = stats
        self._files = files
        self._loop = loop
        self._batches: dict[str, Batch] = {}
        self.use(script)

    def use(self, script: Script) -> None:
        """Goes on under another script."""
        self._script = script
        self._count = token_counter(script)
        self._answerer = Answerer(script.answers, script.seed)

    def newest_first(self) -> list[Batch]:
        """All batches."""
        return list(reversed(self._batches.values()))

    def get(self, identifier: str) -> Batch | None:
        """The batch of an id."""
        return self._batches.get(identifier)

    def refuses(self, file: StoredFile) -> bool:
        """Whether the enqueued tokens leave no room and the script refuses that at once, not by a failed batch."""
        return self._script.batches.quota_refused_at == "create" and self._is_over(self._tokens_of(file))

    def create(self, file: StoredFile, endpoint: str, metadata: dict[str, str]) -> Batch:
        """Takes a file in; it ends after the script's delay."""
        number = len(self._batches)
        batch = Batch(f"batch_loopback{number + 1}", file.id, endpoint, metadata, number)
        self._batches[batch.id] = batch
        self._stats.totals["batches_created"] += 1
        self._validate(batch, file)
        if batch.is_open:
            batch.status = "in_progress"
            batch.timer = self._loop.call_later(self._script.batches.delay_s, self._end, batch, None)
        return batch

    def close(self) -> None:
        """Works nothing off any more."""
        for batch in self._batches.values():
            if batch.timer is not None:
                batch.timer.cancel()

    def cancel(self, batch: Batch) -> None:
        """Ends a batch early; what is worked off by then is kept."""
        if batch.is_open:
            self._end(batch, "cancelled")

    def _validate(self, batch: Batch, file: StoredFile) -> None:
        limit = self._script.batches.max_enqueued_tokens
        faults: list[tuple[str, str]] = []
        lines = _read_lines(file)
        if lines is None:
            faults.append(("invalid_json_line", "A line is not a request in valid JSON."))
        batch.requests = [(line.custom_id, decode_chat(bytes(line.body))) for line in lines or ()]
        if len({name for name, _ in batch.requests}) != len(batch.requests):
            faults.append(("duplicate_custom_id", "The custom_id of a request is not unique."))
        if any(line.url != batch.endpoint for line in lines or ()):
            faults.append(("mismatched_endpoint", "A request's url is not the batch's endpoint."))
        if len(batch.requests) > self._script.batches.max_requests:
            faults.append(("max_requests_exceeded", "The file has too many requests."))
        batch.tokens = self._tokens_of(file)
        if self._is_over(batch.tokens, batch):
            faults.append((QUOTA, f"Enqueued token limit reached for the model. Limit: {limit:,} enqueued tokens."))
        if self._outcome(batch) == "failed":
            faults.append(("invalid_request", "The file did not pass validation."))
        if faults:
            batch.status, batch.requests = "failed", []
            batch.errors = [{"code": code, "message": message, "line": None, "param": None} for code, message in faults]

    def _outcome(self, batch: Batch) -> str:
        outcomes = self._script.batches.outcomes
        return outcomes[batch.number % len(outcomes)]

    def _is_over(self, tokens: int, but: Batch | None = None) -> bool:
        limit = self._script.batches.max_enqueued_tokens
        others = sum(each.tokens for each in self._batches.values() if each.is_open and each is not but)
        return limit is not None and tokens + others > limit

    def _tokens_of(self, file: StoredFile) -> int:
        requests = [decode_chat(bytes(line.body)) for line in _read_lines(file) or ()]
        return sum(self._count(message.text()) for request in requests for message in request.messages)

    def _end(self, batch: Batch, how: str | None) -> None:
        """Works the requests off and leaves the files; `how` overrides the script's outcome."""
        if not batch.is_open:
            return
        script = self._script.batches
        outcome = how or self._outcome(batch)
        share = 1.0 if outcome == "completed" else script.done_share
        results, errors = [], []
        for name, request in batch.requests:
            chance = unit(self._script.seed, "batch", name.encode(), batch.number)
            if chance >= share:
                message = "This request could not be executed before the completion window expired."
                errors.append(_line(batch, name, None, {"code": f"batch_{outcome}", "message": message}))
            elif unit(self._script.seed, "batch row", name.encode(), batch.number) < script.row_error_share:
                fault = replies.error(500, None, "The server had an error.", azure=False, kind="server_error")
                errors.append(_line(batch, name, (500, fault), None))
            else:
                results.append(_line(batch, name, (200, self._answer(request)), None))
        batch.done, batch.failed = len(results), len(errors)
        self._leave(batch, results, errors)
        batch.status = outcome

    def _leave(self, batch: Batch, results: list[bytes], errors: list[bytes]) -> None:
        """The two files, in an order that is not the input's; some lines are lost if the script says so."""
        script, random = self._script.batches, Random(f"{self._script.seed} {batch.number}")
        for lines in (results, errors):
            random.shuffle(lines)
        errors = errors[int(len(errors) * script.lost_error_lines) :]
        if results:
            batch.output_file_id = self._files.add(f"{batch.id}_output.jsonl", "batch_output", b"".join(results)).id
        if errors:
            batch.error_file_id = self._files.add(f"{batch.id}_error.jsonl", "batch_output", b"".join(errors)).id

    def _answer(self, request: ChatRequest) -> bytes:
        text, system = user_text(request), system_text(request)
        conversation = key_of(text)
        slotted = transcript_in(text, self._script.slot, b"") if self._script.slot else text
        transcript = conversation if slotted is text else key_of(slotted)
        _, schema = response_format(bytes(request.response_format))
        answer = self._answerer.answer(schema, transcript)
        tokens = (self._count(text) + self._count(system), 0, max(1, self._count(answer)))
        self._stats.call(conversation, transcript)
        self._stats.totals["batch_requests"] += 1
        self._stats.pay(conversation, transcript, tokens)
        return replies.completion(
            number=self._stats.totals["batch_requests"],
            model=request.model,
            text=answer,
            finish_reason="stop",
            tokens=tokens,
        )


def _read_lines(file: StoredFile) -> list[Line] | None:
    """The requests of a file; None where a line is none."""
    try:
        lines = [_decode_line(line) for line in file.content.split(b"\n") if line.strip()]
        for line in lines:
            decode_chat(bytes(line.body))
    except msgspec.DecodeError:
        return None
    return lines


def _line(batch: Batch, name: str, response: tuple[int, bytes] | None, error: dict[str, str] | None) -> bytes:
    reply = None
    if response is not None:
        status, body = response
        reply = {"status_code": status, "request_id": f"req_{name[:8]}", "body": orjson.Fragment(body)}
    whole = {"id": f"batch_req_{batch.number}_{name[:8]}", "custom_id": name, "response": reply, "error": error}
    return orjson.dumps(whole) + b"\n"

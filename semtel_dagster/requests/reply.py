"""Reading replies: an answer, a refusal, or which fault.

Belongs here: decoding of chat completions and errors of OpenAI-compatible servers, as bytes and headers. No network,
no reaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from time import time

import msgspec

from semtel_dagster.requests.outcome import Kind, Outcome

Header = Callable[[str], str | None]

MAX_RAW_BYTES = 65_536
LARGEST_LIMIT = 1e12  # per minute
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that a server should not have sent; the last one for objects nested without end."""
_ROW_STATUS = {400, 413, 422}
_UNUSABLE = {401: "unauthorized", 402: "no_money", 403: "forbidden", 404: "not_found", 407: "proxy_login"}
_TOO_LONG = ("context_length", "context length", "maximum context", "too long", "too many tokens", "context size")
_UNSUPPORTED = (
    "unsupported",
    "not supported",
    "does not support",
    "unrecognized",
    "unknown parameter",
    "not available",
)
_OPTIONS = ("response_format", "max_tokens", "temperature", "top_p", "seed", "logprobs", "top_logprobs")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class _Details(msgspec.Struct, gc=False):
    cached_tokens: int | None = 0


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    prompt_tokens_details: _Details | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message
    finish_reason: str | None = None
    logprobs: msgspec.Raw = msgspec.Raw(b"null")


class _Completion(msgspec.Struct, gc=False):
    choices: list[_Choice]
    usage: _Usage | None = None


class _InnerError(msgspec.Struct):
    code: str | int | None = None


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    param: str | None = None
    innererror: _InnerError | None = None


class _ErrorReply(msgspec.Struct):
    error: _Error | str


_completions = msgspec.json.Decoder(_Completion)
_errors = msgspec.json.Decoder(_ErrorReply)
_NO_USAGE = _Usage()


def read_reply(status: int, body: bytes, header: Header) -> Outcome:
    """What a chat completion's reply means.

    Args:
        status: The HTTP status.
        body: The whole body.
        header: Gives a header's value by its lower-case name, or None.
    """
    if status == 200:
        outcome = _read_completion(body)
        outcome.announced = announced(header)
        return outcome
    error = _read_error(body)
    words = f"{error.code or ''} {error.type or ''} {error.message or ''}".lower()
    if status == 429:
        if "insufficient_quota" in words:
            return Outcome(Kind.UNUSABLE, "insufficient_quota", status)
        return Outcome(
            Kind.REFUSED,
            "rate_limited",
            status,
            retry_after=retry_after(header),
            dimension=_dimension(words, header),
            exhausted=any(header(f"x-ratelimit-remaining-{budget}") == "0" for budget in ("requests", "tokens")),
            announced=announced(header),
        )
    if status in _UNUSABLE:
        return Outcome(Kind.UNUSABLE, _UNUSABLE[status], status)
    if status in _ROW_STATUS:
        return _read_row_fault(status, error, words)
    if status in {503, 529}:
        wait = retry_after(header)
        if wait is not None:
            return Outcome(Kind.REFUSED, "overloaded", status, retry_after=wait, dimension="load")
        return Outcome(Kind.OVERLOADED, "overloaded", status)
    return Outcome(Kind.TRANSIENT, "server_error" if status >= 500 else "http_error", status)


def _read_completion(body: bytes) -> Outcome:
    try:
        completion = _completions.decode(body)
        choice = completion.choices[0]
    except (*UNREADABLE, IndexError):
        return Outcome(Kind.POISONED, "poisoned_reply", 200, text=raw_text(body))
    usage = completion.usage or _NO_USAGE
    outcome = Outcome(
        Kind.ANSWERED,
        status=200,
        text=choice.message.content,
        finish_reason=choice.finish_reason,
        input_tokens=usage.prompt_tokens or 0,
        cached_tokens=(usage.prompt_tokens_details.cached_tokens or 0) if usage.prompt_tokens_details else 0,
        output_tokens=usage.completion_tokens or 0,
    )
    logprobs = bytes(choice.logprobs)
    if logprobs != b"null":
        outcome.logprobs = logprobs.decode("utf-8", "replace")
    if choice.finish_reason == "content_filter":
        outcome.kind, outcome.code = Kind.ROW_FAULT, "content_filter"
    elif choice.message.refusal:
        outcome.kind, outcome.code, outcome.text = Kind.ROW_FAULT, "model_refusal", choice.message.refusal
    elif not outcome.text:
        outcome.kind, outcome.code = Kind.EMPTY, "empty_answer"
    return outcome


def _read_error(body: bytes) -> _Error:
    try:
        error = _errors.decode(body).error
    except UNREADABLE:
        return _Error()
    return _Error(message=error) if isinstance(error, str) else error


def _read_row_fault(status: int, error: _Error, words: str) -> Outcome:
    inner = str(error.innererror.code) if error.innererror else ""
    if "content_filter" in words or "responsibleai" in inner.lower() or "content management policy" in words:
        return Outcome(Kind.ROW_FAULT, "content_filter", status)
    if status == 413 or any(sign in words for sign in _TOO_LONG):
        return Outcome(Kind.ROW_FAULT, "context_length", status)
    parameter = _unsupported_parameter(error, words)
    if parameter:
        return Outcome(Kind.UNSUPPORTED, "unsupported_parameter", status, parameter=parameter)
    return Outcome(Kind.ROW_FAULT, "bad_request" if status == 400 else "unprocessable", status)


def _unsupported_parameter(error: _Error, words: str) -> str:
    if not any(sign in words for sign in _UNSUPPORTED):
        return ""
    named = (error.param or "").split(".")[0]
    if named in _OPTIONS:
        return named
    return next((option for option in _OPTIONS if option in words), "")


def _dimension(words: str, header: Header) -> str:
    """Which budget ran out, as the error says it, else as the headers show it."""
    if "token" in words and "request" not in words:
        return "tokens"
    if "(tpm)" in words or "tokens per" in words:
        return "tokens"
    if header("x-ratelimit-remaining-tokens") == "0" and header("x-ratelimit-remaining-requests") != "0":
        return "tokens"
    return ""


def retry_after(header: Header) -> float | None:
    """Seconds to wait by `retry-after-ms`, `retry-after` (seconds or a date), else the reset headers; None: unsaid."""
    milliseconds = _number(header("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    said = header("retry-after")
    seconds = _number(said)
    if seconds is not None:
        return seconds
    if said:
        try:
            return max(0.0, parsedate_to_datetime(said).timestamp() - time())
        except ValueError:
            return None
    for budget in ("requests", "tokens"):
        if header(f"x-ratelimit-remaining-{budget}") == "0":
            return duration(header(f"x-ratelimit-reset-{budget}"))
    return None


def announced(header: Header) -> tuple[float, float]:
    """Requests and tokens per minute as the headers tell them; 0 where they tell none."""
    requests, tokens = header("x-ratelimit-limit-requests"), header("x-ratelimit-limit-tokens")
    return (_number(requests, LARGEST_LIMIT) or 0.0, _number(tokens, LARGEST_LIMIT) or 0.0)


def duration(said: str | None) -> float | None:
    """Seconds of a duration as OpenAI writes it, e.g. "1m30s", "250ms", "2"; None when it is none."""
    if not said:
        return None
    parts = _DURATION.findall(said)
    if parts:
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return _number(said)


def raw_text(body: bytes) -> str:
    """A reply's bytes as text, cut to 64 KiB; bytes that are no UTF-8 are replaced."""
    return body[:MAX_RAW_BYTES].decode("utf-8", "replace")


def _number(said: str | None, most: float = 1e6) -> float | None:
    try:
        value = float(said) if said else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < most else None

"""The lines of batch files: requests as they go, results as they come.

Belongs here: bytes of one line, and which results are final. What a reply means belongs in `requests.reply`; when a
line is written or read, in `submitting` and `results`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from semtel_dagster import tables
from semtel_dagster.batches.batch import Batch, endpoint_in_tables
from semtel_dagster.requests.body import BodyTemplate
from semtel_dagster.requests.outcome import Kind, Outcome
from semtel_dagster.requests.reply import UNREADABLE, read_reply

FINAL_FAULTS = frozenset({"content_filter", "context_length", "model_refusal"})
"""Faults of a conversation itself. Any other may be the batch's (a wrong deployment, say), so it is asked online."""


class _Response(msgspec.Struct):
    status_code: int = 0
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Result(msgspec.Struct):
    custom_id: str = ""
    response: _Response | None = None


_decode = msgspec.json.Decoder(_Result).decode


def request_line(content_hash: str, url: str, template: BodyTemplate, transcript: str) -> bytes:
    """One request; the content hash is its custom_id.

    Raises:
        TypeError: The transcript holds a lone surrogate, which no UTF-8 can carry.
    """
    head = b'{"custom_id":"%b","method":"POST","url":"%b","body":' % (content_hash.encode(), url.encode())
    return b"".join((head, template.render(transcript), b"}\n"))


def read_result(line: bytes) -> tuple[str, Outcome | None]:
    """The custom_id of a result, and its outcome where it is final: an answer, or a fault of the conversation itself.

    A line that is cut or no result at all has the empty custom_id.
    """
    try:
        result = _decode(line)
    except UNREADABLE:
        return "", None
    if result.response is None:
        return result.custom_id, None
    outcome = read_reply(result.response.status_code, bytes(result.response.body), lambda _: None)
    final = outcome.kind is Kind.ANSWERED or (outcome.kind is Kind.ROW_FAULT and outcome.code in FINAL_FAULTS)
    return result.custom_id, outcome if final else None


def response_row(batch: Batch, content_hash: str, outcome: Outcome) -> dict[str, Any]:
    """A final result as a row of `tables.RESPONSES`."""
    row: dict[str, Any] = dict.fromkeys(tables.RESPONSES.names)
    answered = outcome.kind is Kind.ANSWERED
    return row | {
        "content_hash": content_hash,
        "prompt_fingerprint": batch.fingerprint,
        "model": batch.model,
        "endpoint": endpoint_in_tables(batch.endpoint),
        "raw_text": outcome.text,
        "finish_reason": outcome.finish_reason,
        "logprobs": outcome.logprobs,
        "input_tokens": outcome.input_tokens,
        "cached_tokens": outcome.cached_tokens,
        "output_tokens": outcome.output_tokens,
        "attempts": 1,
        "refusals": 0,
        "from_journal": False,
        "status": "answered" if answered else "failed",
        "error": None if answered else outcome.reason,
    }

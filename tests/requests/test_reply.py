import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.requests.outcome import Kind
from semtel_dagster.requests.reply import duration, read_reply, retry_after

NESTED = b'{"x":' * 100_000 + b"1" + b"}" * 100_000


def completion(content="ok", finish="stop", **message):
    return json.dumps(
        {
            "choices": [{"message": {"content": content, **message}, "finish_reason": finish}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}},
        }
    ).encode()


def error(message="", code=None, **fields):
    return json.dumps({"error": {"message": message, "code": code, **fields}}).encode()


def read(status, body, **headers):
    return read_reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()}.get)


def test_an_answer_carries_its_text_and_usage():
    outcome = read(200, completion('{"a": 1}'))
    assert (outcome.kind, outcome.text, outcome.finish_reason) == (Kind.ANSWERED, '{"a": 1}', "stop")
    assert (outcome.input_tokens, outcome.cached_tokens, outcome.output_tokens) == (7, 4, 3)


def test_an_answer_that_is_no_json_is_still_an_answer():
    assert read(200, completion("I cannot decide")).kind is Kind.ANSWERED


def test_logprobs_are_kept_as_the_provider_sent_them():
    body = b'{"choices":[{"message":{"content":"x"},"logprobs":{"content":[{"token":"x","logprob":-0.5}]}}]}'
    assert json.loads(read(200, body).logprobs) == {"content": [{"token": "x", "logprob": -0.5}]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>gateway</html>",
        completion()[:40],
        b"[]",
        b'{"choices":[]}',
        b'{"choices":[{}]}',
        b"\xff\xfe",
        b"null",
    ],
)
def test_a_reply_that_is_no_completion_is_poisoned_and_kept_raw(body):
    outcome = read(200, body)
    assert (outcome.kind, outcome.text) == (Kind.POISONED, body.decode("utf-8", "replace"))


@pytest.mark.parametrize(("status", "kind"), [(200, Kind.POISONED), (400, Kind.ROW_FAULT), (500, Kind.TRANSIENT)])
def test_objects_nested_without_end_are_a_fault_like_another(status, kind):
    assert read(status, NESTED).kind is kind


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (200, completion(None, "content_filter"), Kind.ROW_FAULT, "content_filter"),
        (200, completion(None, refusal="no"), Kind.ROW_FAULT, "model_refusal"),
        (200, completion(""), Kind.EMPTY, "empty_answer"),
        (400, error("x", "content_filter"), Kind.ROW_FAULT, "content_filter"),
        (400, error("x", innererror={"code": "ResponsibleAIPolicyViolation"}), Kind.ROW_FAULT, "content_filter"),
        (400, error("x", "context_length_exceeded"), Kind.ROW_FAULT, "context_length"),
        (400, error("This model's maximum context length is 8192 tokens"), Kind.ROW_FAULT, "context_length"),
        (400, b'{"error": "some words"}', Kind.ROW_FAULT, "bad_request"),
        (413, b"too large", Kind.ROW_FAULT, "context_length"),
        (422, b"", Kind.ROW_FAULT, "unprocessable"),
        (401, error("bad key"), Kind.UNUSABLE, "unauthorized"),
        (403, b"", Kind.UNUSABLE, "forbidden"),
        (404, error("no model", "model_not_found"), Kind.UNUSABLE, "not_found"),
        (429, error("slow down", "rate_limit_exceeded"), Kind.REFUSED, "rate_limited"),
        (429, error("pay", "insufficient_quota"), Kind.UNUSABLE, "insufficient_quota"),
        (500, b"<html>", Kind.TRANSIENT, "server_error"),
        (503, b"", Kind.OVERLOADED, "overloaded"),
        (408, b"", Kind.TRANSIENT, "http_error"),
    ],
)
def test_faults_are_told_apart(status, body, kind, code):
    outcome = read(status, body)
    assert (outcome.kind, outcome.code) == (kind, code)


def test_a_busy_server_that_says_when_to_come_back_refuses():
    outcome = read(503, b"", retry_after="2")
    assert (outcome.kind, outcome.retry_after, outcome.dimension) == (Kind.REFUSED, 2.0, "load")


@pytest.mark.parametrize("parameter", ["response_format", "max_tokens", "temperature", "logprobs"])
def test_an_unsupported_parameter_is_named(parameter):
    named = read(400, error("Unsupported parameter", "unsupported_parameter", param=parameter))
    in_words = read(400, error(f"'{parameter}' is not supported with this model"))
    assert named.kind is in_words.kind is Kind.UNSUPPORTED
    assert named.parameter == in_words.parameter == parameter


def test_a_refusal_about_tokens_is_known_by_its_words_or_headers():
    assert read(429, error("Rate limit reached on tokens per min (TPM)")).dimension == "tokens"
    assert read(429, b"", x_ratelimit_remaining_tokens="0", x_ratelimit_remaining_requests="9").dimension == "tokens"
    assert read(429, error("Rate limit reached on requests per min (RPM)")).dimension == ""


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30s"}, 90.0),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "1s"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-4"}, None),
        ({}, None),
    ],
)
def test_what_a_server_asks_to_wait(headers, seconds):
    assert retry_after(headers.get) == seconds


@pytest.mark.parametrize(
    ("said", "seconds"), [("250ms", 0.25), ("1h2m3s", 3723.0), ("7", 7.0), ("x", None), (None, None)]
)
def test_durations_as_openai_writes_them(said, seconds):
    assert duration(said) == seconds


@given(st.integers(200, 599), st.binary(max_size=200), st.dictionaries(st.text(max_size=20), st.text(max_size=9)))
def test_no_reply_raises_and_no_code_carries_its_text(status, body, headers):
    outcome = read_reply(status, body, headers.get)
    assert outcome.code.replace("_", "").isalnum() or outcome.kind is Kind.ANSWERED

"""A result is final when it is an answer or a fault of the conversation itself; anything else is asked online."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.batches.lines import read_result, request_line
from semtel_dagster.requests.body import compile_body
from semtel_dagster.requests.outcome import Kind
from tests.requests.builders import hash_of, prompt

COMPLETION = {
    "choices": [{"message": {"content": '{"colour":"red"}'}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 30, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8}},
}


def result(status=200, body=COMPLETION, custom_id="c1", **fields):
    response = {"status_code": status, "request_id": "r", "body": body}
    return json.dumps({"id": "x", "custom_id": custom_id, "response": response, "error": None, **fields}).encode()


def fault(code):
    return {"error": {"code": code, "message": code, "type": None, "param": None}}


def test_an_answer_comes_with_its_tokens():
    custom_id, outcome = read_result(result())
    assert (custom_id, outcome.kind, outcome.text) == ("c1", Kind.ANSWERED, '{"colour":"red"}')
    assert (outcome.input_tokens, outcome.cached_tokens, outcome.output_tokens) == (30, 8, 4)


@pytest.mark.parametrize(("status", "body", "code"), [
    (400, fault("content_filter"), "content_filter"),
    (400, fault("context_length_exceeded"), "context_length"),
])  # fmt: skip
def test_a_fault_of_the_conversation_is_final(status, body, code):
    assert read_result(result(status, body))[1].code == code


@pytest.mark.parametrize("line", [
    result(500, fault("server_error")),
    result(429, fault("rate_limit_exceeded")),
    result(404, fault("DeploymentNotFound")),
    result(401, fault("invalid_api_key")),
    result(400, fault("invalid_request")),
    result(200, {"choices": []}),
    result(response=None, error={"code": "batch_expired", "message": "too late"}),
])  # fmt: skip
def test_what_may_be_the_batchs_fault_is_not_final(line):
    assert read_result(line) == ("c1", None)


@given(st.binary() | st.text().map(str.encode))
def test_a_line_that_is_no_result_tells_nothing(line):
    assert read_result(line) == ("", None)


def test_a_line_cut_anywhere_tells_nothing():
    whole = result()
    assert {read_result(whole[:length]) for length in range(len(whole))} == {("", None)}


def test_objects_nested_without_end_tell_nothing():
    assert read_result(b'{"x":' * 100_000 + b"1" + b"}" * 100_000) == ("", None)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_request_is_one_line_of_json_with_the_whole_text(text):
    line = request_line(hash_of(text), "/v1/chat/completions", compile_body(prompt(), "m"), text)
    assert line.count(b"\n") == 1
    request = json.loads(line)
    assert request["custom_id"] == hash_of(text)
    assert text in request["body"]["messages"][1]["content"]
    assert request["body"]["model"] == "m"

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.classifiers import PromptMessage
from semtel_dagster.errors import SettingsError
from semtel_dagster.requests.body import compile_body
from tests.requests.builders import AFTER, BEFORE, prompt


def body(text, lacking=(), **options):
    return json.loads(compile_body(prompt(**options), "m", frozenset(lacking)).render(text))


@given(st.text())
def test_any_transcript_arrives_as_it_is(text):
    assert body(text)["messages"] == [
        {"role": "system", "content": "Say the colour."},
        {"role": "user", "content": BEFORE + text + AFTER},
    ]


def test_messages_after_the_transcript_follow_it():
    several = replace(prompt(), messages=(*prompt().messages, PromptMessage("system", "Remember the rules.")))
    sent = json.loads(compile_body(several, "m").render("x"))
    assert [message["content"][-6:] for message in sent["messages"]] == ["olour.", "r now.", "rules."]


def test_model_options_and_schema_are_sent():
    sent = body("x", seed=3)
    assert (sent["model"], sent["temperature"], sent["max_tokens"], sent["seed"]) == ("m", 0, 20, 3)
    assert sent["response_format"]["json_schema"]["strict"] is True
    assert sent["response_format"]["json_schema"]["schema"] == prompt().response_schema


def test_what_an_endpoint_lacks_is_left_out_or_said_otherwise():
    assert body("x", ["json_schema"])["response_format"] == {"type": "json_object"}
    assert "response_format" not in body("x", ["json_schema", "response_format"])
    renamed = body("x", ["max_tokens", "temperature"])
    assert renamed["max_completion_tokens"] == 20
    assert not {"max_tokens", "temperature"} & renamed.keys()


def test_a_prompt_with_no_place_for_the_transcript_is_an_error():
    with pytest.raises(SettingsError, match="0 places"):
        compile_body(replace(prompt(), messages=(PromptMessage("user", "x"),)), "m")

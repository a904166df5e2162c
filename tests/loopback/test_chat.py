import json
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.loopback.chat import (
    decode_chat,
    key_of,
    response_format,
    system_text,
    token_counter,
    transcript_in,
    user_text,
)
from semtel_dagster.loopback.script import Script, Slot
from tests.loopback.virtual import chat


def decoded(*messages):
    return decode_chat(json.dumps({"messages": [{"role": role, "content": text} for role, text in messages]}).encode())


@given(st.text())
def test_the_key_is_the_content_hash_of_the_tables(text):
    assert key_of(text).hex() == blake2b(text.encode(), digest_size=16).hexdigest()


def test_the_last_user_message_is_the_conversation_and_what_comes_first_is_static():
    request = decoded(
        ("system", "rules"), ("developer", "more"), ("user", "example"), ("assistant", "a"), ("user", "text")
    )
    assert user_text(request) == "text"
    assert system_text(request) == "rules\nmore"


def test_parts_of_a_content_are_one_text():
    assert user_text(decoded(("user", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]))) == "ab"


def test_no_user_message_is_an_empty_conversation():
    assert user_text(decoded(("system", None))) == ""


@given(before=st.text(), transcript=st.text(), after=st.text())
def test_a_slot_gives_the_transcript_back(before, transcript, after):
    whole = before + transcript + after
    assert transcript_in(whole, Slot(before=before, after=after), b"") == transcript
    assert transcript_in(whole, None, f"{len(before)},{len(after)}".encode()) == transcript


@pytest.mark.parametrize("header", [b"x,y", b"5", b"-1,2"])
def test_a_slot_header_that_makes_no_sense_is_no_slot(header):
    assert transcript_in("whole", None, header) == "whole"


def test_a_slot_that_is_not_there_leaves_the_whole_message():
    assert transcript_in("whole", Slot(before="x"), b"") == "whole"


@pytest.mark.parametrize(
    "raw", [b"3", b"{}", b'{"type": "json_schema"}', b'{"type": "json_schema", "json_schema": {"schema": 3}}']
)
def test_a_wrong_response_format_is_an_error(raw):
    with pytest.raises(ValueError, match="response_format"):
        response_format(raw)


def test_a_response_format_gives_its_schema():
    raw = json.dumps(chat("x")["response_format"]).encode()
    assert response_format(raw) == ("json_schema", chat("x")["response_format"]["json_schema"]["schema"])
    assert response_format(b"") == ("text", None)
    assert response_format(b'{"type": "json_object"}') == ("json_object", None)


def test_tokens_are_quarters_of_characters_or_exact():
    assert token_counter(Script())("abcde") == 2
    assert token_counter(Script(token_count="o200k"))("hello world") == 2

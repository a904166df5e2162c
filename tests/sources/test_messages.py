import pytest

from semtel_dagster.sources.messages import clean, read_messages
from semtel_dagster.sources.rules import Rejection


def read(*messages, max_bytes=1000):
    return read_messages(list(messages), "role", "content", max_bytes)


def said(content, role="user"):
    return {"role": role, "content": content}


def reason_of(*messages, **options):
    with pytest.raises(Rejection) as caught:
        read(*messages, **options)
    return caught.value.reason


@pytest.mark.parametrize(
    ("role", "known"),
    [("Human", "user"), ("gpt", "assistant"), ("AI", "assistant"), ("bot", "assistant"), ("model", "assistant"),
     ("developer", "system"), ("function", "tool"), (" Assistant ", "assistant")],
)  # fmt: skip
def test_common_names_of_roles_are_translated(role, known):
    assert read(said("hi"), said("yes", role))[1] == (known, "yes")


def test_an_unknown_role_is_refused_without_naming_it():
    with pytest.raises(Rejection) as caught:
        read(said("hi"), said("yes", "my name is Bob"))
    assert caught.value.reason == "unknown_role"
    assert caught.value.detail == "messages[1].role"


@pytest.mark.parametrize("empty", [None, "", " \n\t\u2003", [], [{"type": "image_url", "image_url": {}}]])
def test_a_message_without_text_is_dropped(empty):
    assert read(said("hi"), said(empty, "assistant"), said("so?")) == [("user", "hi"), ("user", "so?")]


@pytest.mark.parametrize("messages", [[], [said("hello", "assistant")], [said(" "), said("yes", "assistant")]])
def test_a_conversation_without_a_word_of_the_user_is_empty(messages):
    assert reason_of(*messages) == "no_user_message"


def test_text_in_parts_is_joined():
    assert read(said(["a", {"type": "text", "text": "b"}, {"type": "image"}])) == [("user", "a\nb")]


def test_text_is_kept_but_for_what_cannot_be_stored():
    text = " a\u2028b\u0085\r\n\u202eשלום\ufeff "
    assert read(said(text + "\x00\ud800"))[0][1] == text + "\ufffd\ufffd"
    assert clean("a\udfffb") == "a\ufffdb"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("hi", "wrong_type"),
        ({"content": "hi"}, "missing_field"),
        ({"role": 1, "content": "hi"}, "wrong_type"),
        ({"role": "user", "content": 1}, "wrong_type"),
        ({"role": "user", "content": [1]}, "wrong_type"),
        ({"role": "user", "content": {"text": "hi"}}, "wrong_type"),
    ],
)
def test_a_malformed_message_is_refused(message, reason):
    assert reason_of(said("hi"), message) == reason


@pytest.mark.parametrize(("value", "reason"), [(None, "missing_field"), ("hi", "wrong_type"), ({}, "wrong_type")])
def test_messages_must_be_a_list(value, reason):
    with pytest.raises(Rejection) as caught:
        read_messages(value, "role", "content", 1000)
    assert caught.value.reason == reason


def test_the_longest_message_is_counted_in_bytes():
    assert read(said("é" * 500))
    assert reason_of(said("é" * 501)) == "over_long_message"
    assert read(said("a" * 1_000_000), max_bytes=4_000_000)

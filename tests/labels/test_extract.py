"""Finding the values of an answer, whatever form they come in."""

import pytest

from semtel_dagster.labels import extract
from semtel_dagster.labels.extract import Field


@pytest.mark.parametrize(
    ("raw", "spoken"),
    [
        ("<think>a</think>b", "b"),
        ("a</think>b", "b"),
        ("<think>a", ""),
        ("<Reasoning effort='x'>a</Reasoning> b", "b"),
        ("<|channel|>analysis<|message|>a<|end|><|channel|>final<|message|>b<|return|>", "b"),
        ("b<|im_end|>", "b"),
    ],
)
def test_reasoning_and_control_tokens_are_not_spoken(raw, spoken):
    assert extract.spoken(raw) == spoken


def test_a_very_long_answer_keeps_its_beginning_and_end():
    spoken = extract.spoken("first " + "x " * 500_000 + "last")
    assert spoken.startswith("first")
    assert spoken.endswith("last")
    assert len(spoken) <= extract.MAX_CHARACTERS + 1


def test_every_object_of_a_text_gives_its_fields_and_those_inside():
    fields, rest = extract.json_fields('x {"a": 1} y {"b": {"c": "d"}} [1, {"e": null}]')
    assert [field.key for field in fields] == ["a", "b", "c", "e"]
    assert rest.split() == ["x", "y"]


def test_a_key_written_twice_gives_two_fields():
    assert extract.json_fields('{"a": 1, "a": 2}')[0] == [Field("a", 1), Field("a", 2)]


def test_a_schema_is_not_searched_for_values():
    assert [f.key for f in extract.json_fields('{"topic": {"type": "string", "topic": "food"}}')[0]] == ["topic"]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("{'a': 'b'}", [Field("a", "b")]),
        ('"a": "b"', [Field("a", "b")]),
        ('{"a": "b", "c": "d', [Field("a", "b"), Field("c", "d", unfinished=True)]),
        ("no object", []),
    ],
)
def test_broken_json_gives_what_it_holds(text, fields):
    assert extract.broken_fields(text) == fields


def test_elements_and_lines_and_cells_are_fields():
    assert extract.tag_fields("<a> b </a>") == [Field("a", "b")]
    keys = [extract.key_pattern("user_expertise")]
    assert extract.line_fields("**User expertise:** novice", keys) == [Field("User expertise", "novice")]
    assert Field("user_expertise", "novice") in extract.line_fields("| user_expertise | novice |", keys)


def test_only_what_follows_the_last_final_answer_is_final():
    assert extract.final_part("Final answer: a. Correction: b") == "b"
    assert extract.final_part("an answer") is None

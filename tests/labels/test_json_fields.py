"""Finding the values of an answer in JSON, good or broken."""

import pytest

from semtel_dagster.labels.json_fields import Field, section


def test_every_object_of_a_text_gives_its_fields_and_those_inside():
    taken_apart = section('x {"a": 1} y {"b": {"c": "d"}} [1, {"e": null}]')
    assert [field.key for field in taken_apart.fields] == ["a", "b", "c", "e"]
    assert taken_apart.rest.split() == ["x", "y"]


def test_an_empty_object_is_an_object_and_a_bare_list_is_not():
    assert section("{}").has_object
    assert not section('["food"]').has_object
    assert section('["food"]').rest == '["food"]'


def test_a_record_that_names_its_task_is_a_field_of_that_task():
    assert Field("topic", "food") in section('[{"task": "topic", "label": "food"}]').fields


def test_a_key_written_twice_gives_two_fields():
    assert section('{"a": 1, "a": 2}').fields == (Field("a", 1), Field("a", 2))


def test_a_schema_is_not_searched_for_values():
    assert [f.key for f in section('{"topic": {"type": "string", "topic": "food"}}').fields] == ["topic"]


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
    assert list(section(text).broken) == fields

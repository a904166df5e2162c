"""Finding the values of an answer outside JSON."""

import pytest

from semtel_dagster.labels import text_fields
from semtel_dagster.labels.json_fields import Field


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
    assert text_fields.spoken(raw) == spoken


def test_a_very_long_answer_keeps_its_beginning_and_end():
    spoken = text_fields.spoken("first " + "x " * 500_000 + "last")
    assert spoken.startswith("first")
    assert spoken.endswith("last")
    assert len(spoken) <= text_fields.MAX_CHARACTERS + 1


def test_elements_and_lines_and_cells_are_fields():
    assert text_fields.tag_fields("<a> b </a>") == [Field("a", "b")]
    keys = [text_fields.key_pattern("user_expertise")]
    assert text_fields.line_fields("**User expertise:** novice", keys) == [Field("User expertise", "novice")]
    assert Field("user_expertise", "novice") in text_fields.line_fields("| user_expertise | novice |", keys)


def test_only_what_follows_the_last_final_answer_is_final():
    assert text_fields.final_part("Final answer: a. Correction: b") == "b"
    assert text_fields.final_part("an answer") is None

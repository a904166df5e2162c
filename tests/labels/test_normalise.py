"""Which differences between spellings do not count."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.labels.normalise import clean, compact, comparable, stemmed


@pytest.mark.parametrize(
    "spelling",
    ["Law and Government", "law & government", "LAW/GOVERNMENT", "law_and-government", "  law, government. "],
)
def test_spellings_of_one_name_are_comparable(spelling):
    assert comparable(spelling) == "law government"


def test_camel_case_and_missing_spaces_are_compacted():
    assert compact("userExpertise") == compact("user_expertise") == compact("User Expertise") == "userexpertise"


@pytest.mark.parametrize(
    "forms", [("create", "created", "creating", "creates", "creation"), ("apply", "applied", "applies", "applying")]
)
def test_inflections_share_a_stem(forms):
    assert len({stemmed(form) for form in forms}) == 1


def test_a_prefix_that_changes_the_sense_changes_the_stem():
    assert stemmed("dissatisfied") != stemmed("satisfied")


def test_invisible_characters_are_no_part_of_an_answer():
    assert clean("\ufefffo\u200bod\x00\ud800 \u202e") == "food"


@settings(deadline=None)
@given(st.text())
def test_normalising_twice_is_normalising_once(text):
    assert clean(clean(text)) == clean(text)
    assert comparable(comparable(text)) == comparable(text)

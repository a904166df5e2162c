"""Matching one spelling to one label."""

import pytest

from semtel_dagster.labels import reasons
from semtel_dagster.labels.matching import Match, Matcher
from tests.labels.builders import LEVEL, MOOD, TOPIC, label, task


@pytest.mark.parametrize(
    ("spelling", "label_name", "how"),
    [
        ("food", "food", "exact"),
        ("Food!", "food", "cleaned"),
        ("Data & Statistics", "data and statistics", "cleaned"),
        ("coding", "programming", "matched"),
        ("programmed", "programming", "matched"),
        ("porgramming", "programming", "matched"),
        ("food (Italian)", "food", "cleaned"),
    ],
)
def test_a_spelling_is_matched_by_the_nearest_rule(spelling, label_name, how):
    assert Matcher(TOPIC).match(spelling) == Match(label_name, how)


def test_an_alias_that_two_labels_claim_is_nobodys():
    matcher = Matcher(task("t", label("tea", "drink"), label("coffee", "Drink")))
    assert matcher.match("drink") == Match(None, reasons.AMBIGUOUS)


def test_a_name_wins_over_another_labels_alias_in_either_order():
    for labels in [("tea", label("coffee", "tea")), (label("coffee", "tea"), "tea")]:
        assert Matcher(task("t", *labels)).match("Tea").label == "tea"


def test_a_typing_error_between_two_close_labels_is_not_decided():
    matcher = Matcher(task("t", "commitment a", "commitment b"))
    assert matcher.match("commitment c") == Match(None, reasons.AMBIGUOUS)


def test_a_short_word_must_be_right():
    assert Matcher(TOPIC).match("fool").label is None


@pytest.mark.parametrize(("number", "expected"), [(1, "novice"), (3, "expert"), (0, None), (4, None), (1.5, None)])
def test_levels_of_an_ordinal_scale_count_from_one(number, expected):
    assert Matcher(LEVEL).level(float(number)).label == expected


def test_a_number_is_no_level_where_the_scale_has_a_score_or_no_order():
    assert Matcher(MOOD).match("2") == Match(None, reasons.BAD_NUMBER)
    assert Matcher(TOPIC).match("2") == Match(None, reasons.BAD_NUMBER)


def test_a_negation_is_believed_only_as_an_alias():
    assert Matcher(MOOD).match("Not satisfied").label == "dissatisfied"
    assert Matcher(MOOD).match("hardly not satisfied") == Match(None, reasons.NEGATED)


@pytest.mark.parametrize(
    ("beginning", "expected"), [("progr", "programming"), ("data an", "data and statistics"), ("pro", None)]
)
def test_a_label_that_is_cut_off_is_completed_when_only_one_begins_so(beginning, expected):
    assert Matcher(TOPIC).starting_with(beginning).label == expected


def test_a_beginning_that_two_labels_share_is_not_completed():
    matcher = Matcher(task("t", "science", "science fiction"))
    assert matcher.starting_with("science") == Match(None, reasons.AMBIGUOUS)

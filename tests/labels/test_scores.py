"""Reading scores: in range or nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.classifiers import Score
from semtel_dagster.labels import reasons
from semtel_dagster.labels.scores import read_score

SCORE = Score(field="score", minimum=-100, maximum=100)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (40, 40),
        (-100, -100),
        (12.5, 12.5),
        ("40", 40),
        ("+40", 40),
        ("\u221240", -40),
        ("40/100", 40),
        ("12,5", 12.5),
        ("７", 7),
    ],
)
def test_numbers_and_their_spellings_are_scores(value, expected):
    assert read_score(value, SCORE) == (expected, None)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (101, reasons.SCORE_OUT_OF_RANGE),
        ("-100.5", reasons.SCORE_OUT_OF_RANGE),
        (True, reasons.SCORE_INVALID),
        (float("nan"), reasons.SCORE_INVALID),
        (10**400, reasons.SCORE_INVALID),
        ("4/5", reasons.SCORE_INVALID),
        ("high", reasons.SCORE_INVALID),
        ([40], reasons.SCORE_INVALID),
        (None, reasons.SCORE_MISSING),
        ("", reasons.SCORE_MISSING),
    ],
)
def test_anything_else_is_no_score_and_says_why(value, reason):
    assert read_score(value, SCORE) == (None, reason)


@settings(deadline=None)
@given(st.integers(-100, 100))
def test_every_whole_number_in_range_is_read_in_both_forms(number):
    assert read_score(number, SCORE) == read_score(str(number), SCORE) == (number, None)

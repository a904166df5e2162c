import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.estimation.intervals import benjamini_hochberg, critical_value, difference, wilson

shares = st.floats(0, 1)


def test_wilson_equals_the_worked_example_of_newcombe():
    """81 of 263: Newcombe 1998, table I, method 3."""
    assert wilson(81 / 263, 263, 1.959964) == pytest.approx((0.2553, 0.3662), abs=1e-4)


@given(shares, st.floats(1, 1e6), st.floats(0.1, 20))
def test_wilson_encloses_the_share_and_stays_a_proportion(share, size, critical):
    low, high = wilson(share, size, critical)
    assert 0 <= low <= share <= high <= 1


def test_wilson_says_nothing_without_observations():
    assert wilson(0.4, 0, 1.96) == (0.0, 1.0)


def test_critical_values_are_those_of_the_tables():
    assert critical_value(0.95, 10) == pytest.approx(2.2281, abs=1e-4)
    assert critical_value(0.95, 1e9) == pytest.approx(1.95996, abs=1e-4)


def test_difference_equals_the_worked_example_of_newcombe():
    """56/70 - 48/80: Newcombe 1998, table II, method 10."""
    now, before = 56 / 70, 48 / 80
    delta, low, high = difference((now, *wilson(now, 70, 1.959964)), (before, *wilson(before, 80, 1.959964)))
    assert (delta, low, high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_benjamini_hochberg_by_hand():
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])


@given(st.lists(st.floats(0, 1), max_size=20))
def test_adjusted_p_values_keep_the_order_and_never_shrink(p_values):
    adjusted = benjamini_hochberg(p_values)
    assert all(p <= q + 1e-12 or math.isclose(p, q) for p, q in zip(p_values, adjusted, strict=True))
    pairs = sorted(zip(p_values, adjusted, strict=True))
    assert all(first[1] <= second[1] + 1e-12 for first, second in pairwise(pairs))

"""Thresholds: what is promised holds at the stated confidence, and a bad student answers nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from semtel_dagster.cascade.guarantee import choose, choose_by_label, grid, lower_bounds


def bound(agreeing, rows, error):
    return lower_bounds(np.array([agreeing]), np.array([rows]), error)[0]


def population(rows, sharpness, rng):
    """Confidences, and answers that agree with a probability that rises with confidence but is not equal to it."""
    scores = rng.beta(3, 1, size=rows)
    return scores, rng.random(rows) < scores**sharpness


@pytest.mark.parametrize(("agreeing", "rows"), [(1, 1), (98, 100), (300, 300), (0, 5), (7, 9)])
def test_the_bound_is_that_of_clopper_and_pearson(agreeing, rows):
    exact = binomtest(agreeing, rows, alternative="greater").proportion_ci(0.95, "exact").low
    assert bound(agreeing, rows, 0.05) == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize(("agreement", "sharpness"), [(0.9, 1.0), (0.9, 0.5), (0.95, 0.2), (0.8, 2.0)])
def test_the_promise_breaks_in_no_more_than_its_share_of_repeats(agreement, sharpness):
    """The true rate is known, since the agreement's probability at each confidence is."""
    repeats, error = 400, 0.1
    everyone, _ = population(200_000, sharpness, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    broken = answered = 0
    for _ in range(repeats):
        found = choose(*population(600, sharpness, rng), agreement, error)
        if found.threshold is not None:
            answered += 1
            broken += (everyone[everyone >= found.threshold] ** sharpness).mean() < agreement
    assert broken <= repeats * error
    assert answered > repeats / 4 or sharpness == 2.0


def test_a_student_that_is_always_right_answers_all_it_is_tried_on():
    scores = np.linspace(0.3, 1, 1000)
    found = choose(scores, np.ones(1000, dtype=bool), 0.98, 0.05)
    assert (found.answered, found.agreeing, found.observed, found.coverage) == (1000, 1000, 1.0, 1.0)
    assert found.lower >= 0.98


@pytest.mark.parametrize("rows", [0, 1, 40])
def test_few_rows_prove_nothing(rows):
    found = choose(np.full(rows, 0.999), np.ones(rows, dtype=bool), 0.98, 0.05)
    assert (found.threshold, found.coverage, found.observed) == (None, 0.0, None)


def test_a_student_that_guesses_answers_nothing():
    rng = np.random.default_rng(0)
    assert choose(rng.random(5000), rng.random(5000) < 0.5, 0.9, 0.05).threshold is None


def test_overconfidence_is_seen_in_the_held_out_rows():
    """All confidences say .99, and a fifth of the answers is wrong."""
    rng = np.random.default_rng(0)
    assert choose(np.full(5000, 0.99), rng.random(5000) < 0.8, 0.9, 0.05).threshold is None


@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.001, 0.05, 0.3]))
def test_more_agreement_never_lowers_the_bound(agreeing, other, error):
    fewer, more = sorted((agreeing, other))
    assert bound(fewer, 300, error) <= bound(more, 300, error)
    assert bound(more, 300, error) <= more / 300


@given(st.integers(0, 2**32), st.sampled_from([0.7, 0.9]))
def test_what_is_chosen_keeps_its_own_bound_and_counts_its_own_rows(seed, agreement):
    scores, agrees = population(800, 0.5, np.random.default_rng(seed))
    found = choose(scores, agrees, agreement, 0.05)
    if found.threshold is not None:
        reaching = scores >= found.threshold
        assert found.threshold in grid()
        assert found.lower >= agreement
        assert (found.answered, found.agreeing) == (reaching.sum(), agrees[reaching].sum())


def test_each_label_keeps_the_promise_by_itself_or_is_never_said():
    """Overall 95 % agree, but of the rows called "rare" only half do."""
    rng = np.random.default_rng(0)
    predicted = (np.arange(6000) % 10 == 0).astype(np.int64)
    agrees = np.where(predicted == 1, rng.random(6000) < 0.5, True)
    scores = rng.uniform(0.9, 1, size=6000)
    found = choose_by_label(("common", "rare"), predicted, scores, agrees, 0.9, 0.05)
    assert found["common"].threshold is not None
    assert found["rare"].threshold is None
    assert choose(scores, agrees, 0.9, 0.05).threshold is not None

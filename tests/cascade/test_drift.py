"""The share that is asked anyway: a promise that holds is left alone, one that no longer does is called broken."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.cascade.drift import Week, look, weigh
from semtel_dagster.cascade.training import train
from tests.cascade.builders import LABELS, OPTIONS, examples

PROMPT = "0123456789abcdef"


def weeks(rate, rng, count=50, rows=60):
    return [Week(rows, int(rng.binomial(rows, rate))) for _ in range(count)]


def test_looking_every_week_for_a_year_rarely_breaks_a_promise_that_just_holds():
    """The stated share is one in ten; at the promised rate itself, the worst case."""
    rng = np.random.default_rng(0)
    broken = sum(not weigh(weeks(0.02, rng), 0.98, 0.9).holds for _ in range(400))
    assert 0 < broken <= 40


@pytest.mark.parametrize(("rate", "within"), [(0.3, 2), (0.1, 6), (0.06, 16)])
def test_a_promise_that_broke_is_seen_within_weeks(rate, within):
    rng = np.random.default_rng(0)
    seen = [not weigh(weeks(rate, rng, within), 0.98, 0.95).holds for _ in range(100)]
    assert np.mean(seen) > 0.8


def test_nothing_compared_is_no_evidence():
    evidence = weigh([Week(), Week()], 0.98, 0.95)
    assert (evidence.holds, evidence.agreement, evidence.wealth) == (True, None, 1.0)


@given(st.integers(1, 500), st.sampled_from([0.6, 0.9, 0.98, 0.999]))
def test_agreement_alone_never_breaks_a_promise(rows, agreement):
    assert weigh([Week(rows, 0)], agreement, 0.95).wealth == 1.0


def test_a_promise_that_was_broken_stays_broken_until_another_student():
    good = [Week(10_000, 0)]
    assert not weigh([Week(100, 40), *good], 0.98, 0.95).holds


def test_only_rows_that_the_student_would_answer_and_that_stand_for_the_week_are_compared():
    trained = train(examples(2000), ("topic",), PROMPT, OPTIONS)
    fresh = examples(400, seed=5)
    half = replace(fresh, honest=np.arange(400) < 200)
    everything, of_half = look(trained, fresh), look(trained, half)
    sure = trained.answers(trained.student.predict(fresh.vectors))
    assert (everything.rows, of_half.rows) == (int(sure.sum()), int(sure[:200].sum()))
    assert everything.disagreeing <= 0.1 * everything.rows


def test_a_teacher_that_says_something_else_now_is_seen():
    trained = train(examples(2000), ("topic",), PROMPT, OPTIONS)
    fresh = examples(400, seed=5)
    turned = {label: (LABELS[(at + 1) % len(LABELS)],) for at, label in enumerate(LABELS)}
    week = look(trained, replace(fresh, taught=tuple(turned[label] for (label,) in fresh.taught)))
    assert not weigh([week], trained.agreement, trained.confidence).holds


@pytest.mark.parametrize("found", [None, examples(50), replace(examples(50), honest=np.zeros(50, dtype=bool))])
def test_a_week_of_another_embedding_or_without_rows_says_nothing(found):
    trained = train(examples(800), ("topic",), PROMPT, OPTIONS)
    other = replace(found, embedding="another") if found is not None and found.honest.any() else found
    assert look(trained, other) == Week()

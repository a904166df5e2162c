"""Students: fitted by scikit-learn, applied without it, calibrated, and judged on rows that nothing else has seen."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from semtel_dagster.cascade.chosen import chosen, places
from semtel_dagster.cascade.fitting import EPOCHS, HIDDEN, MOST_STEPS, STRENGTH, calibrated, fit
from semtel_dagster.cascade.training import ALL_LABELS, split, train
from semtel_dagster.errors import SettingsError
from tests.cascade.builders import LABELS, OPTIONS, clouds, examples, name

PROMPT = "0123456789abcdef"


@pytest.mark.parametrize("labels", [LABELS, LABELS[:2]], ids=["three labels", "two labels"])
@pytest.mark.parametrize("model", ["logistic", "mlp"])
def test_a_student_says_what_scikit_learn_says(model, labels):
    vectors, told = clouds(400, spread=1.0)
    told = [label if label in labels else labels[0] for label in told]
    student = fit(model, ("topic",), vectors, [(label,) for label in told])
    rows = student.standardised(vectors)
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    if model == "logistic":
        peer = LogisticRegression(C=STRENGTH, max_iter=MOST_STEPS, tol=1e-3)
    else:
        peer = MLPClassifier((HIDDEN,), alpha=1e-3, learning_rate_init=2e-3, max_iter=EPOCHS, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer.fit(rows, told)
    assert np.allclose(student.heads[0].probabilities(rows), peer.predict_proba(rows), atol=1e-9)


def test_an_answer_is_the_same_whatever_it_comes_with():
    vectors, told = clouds(300)
    student = fit("logistic", ("topic",), vectors, [(label,) for label in told])
    together = student.predict(vectors)
    for size in (1, 7, 300):
        parts = [student.predict(vectors[at : at + size]) for at in range(0, 300, size)]
        assert np.array_equal(np.concatenate([part.scores for part in parts]), together.scores)
        assert np.array_equal(np.concatenate([part.labels for part in parts]), together.labels)


def test_a_row_counts_as_right_where_all_its_tasks_are():
    vectors, told = clouds(600, spread=0.3)
    other = [str(label == "travel") for label in told]
    student = fit("logistic", ("topic", "away"), vectors, list(zip(told, other, strict=True)))
    predicted = student.predict(vectors)
    assert np.allclose(predicted.scores, predicted.confidences.prod(axis=1), atol=1e-6)
    wrong = [(label, "no such thing") for label in told]
    assert student.agrees(predicted.labels, list(zip(told, other, strict=True))).mean() > 0.95
    assert not student.agrees(predicted.labels, wrong).any()


def test_a_task_with_one_label_is_answered_with_it():
    vectors, _ = clouds(50)
    student = fit("logistic", ("topic",), vectors, [("travel",)] * 50)
    assert set(student.names(student.predict(vectors).labels)) == {("travel",)}


def test_calibration_brings_confidence_to_the_rate_of_agreement():
    """A teacher that errs at random makes a student that was fitted too closely overconfident."""
    vectors, told = clouds(400, dimensions=64, noise=0.4)
    fresh, said = clouds(4000, dimensions=64, noise=0.4, seed=1)
    taught = [(label,) for label in said]
    raw = fit("mlp", ("topic",), vectors, [(label,) for label in told])
    student = calibrated(raw, fresh[:2000], taught[:2000])

    def gap(a_student):
        predicted = a_student.predict(fresh[2000:])
        return abs(predicted.scores.mean() - a_student.agrees(predicted.labels, taught[2000:]).mean())

    assert gap(raw) > 0.1
    assert gap(student) < 0.05


def test_held_out_rows_touch_nothing_else():
    rows = examples(3000)
    held_out, tuned = split(rows, 0.3)
    assert not (held_out & tuned).any()
    assert held_out.mean() == pytest.approx(0.3, abs=0.03)
    assert tuned.mean() == pytest.approx(0.07, abs=0.02)
    told = list(rows.taught)
    for at in np.flatnonzero(held_out).tolist():
        told[at] = ("cooking",)
    first, second = (train(each, ("topic",), PROMPT, OPTIONS) for each in (rows, replace(rows, taught=tuple(told))))
    assert np.array_equal(first.student.predict(rows.vectors).scores, second.student.predict(rows.vectors).scores)
    assert second.coverage < first.coverage


def test_rows_that_a_student_was_unsure_of_are_learned_from_and_judge_nothing():
    honest = np.arange(3000) % 3 == 0
    whole = np.arange(3000) < 1500
    honest |= whole
    held_out, tuned = split(examples(3000, honest=honest, whole=whole), 0.3)
    assert not held_out[~honest].any()
    assert held_out[honest & ~whole].all()
    assert not tuned[~whole].any()


def test_a_trained_student_answers_most_and_keeps_its_promise_on_fresh_rows():
    trained = train(examples(3000), ("topic",), PROMPT, OPTIONS)
    fresh, said = clouds(5000, seed=9)
    predicted = trained.student.predict(fresh)
    sure = trained.answers(predicted)
    agrees = trained.student.agrees(predicted.labels, [(label,) for label in said])
    assert agrees[sure].mean() >= OPTIONS.agreement
    assert sure.mean() == pytest.approx(trained.coverage, abs=0.05)
    assert sure.mean() > 0.5


def test_a_teacher_that_errs_at_random_leaves_nothing_to_promise_beyond_its_own_reliability():
    options = OPTIONS.model_copy(update={"agreement": 0.95})
    trained = train(examples(3000, noise=0.3), ("topic",), PROMPT, options)
    assert trained.bounds[ALL_LABELS].threshold is None
    assert not trained.answers(trained.student.predict(examples(100).vectors)).any()


def test_thresholds_by_label_answer_by_label():
    trained = train(examples(4000), ("topic",), PROMPT, OPTIONS.model_copy(update={"by_label": True}))
    assert set(trained.bounds) == set(LABELS)
    predicted = trained.student.predict(clouds(500, seed=5)[0])
    thresholds = np.array([trained.bounds[label].threshold for (label,) in trained.student.names(predicted.labels)])
    assert np.array_equal(trained.answers(predicted), predicted.scores >= thresholds)
    assert trained.held_out == sum(bound.rows for bound in trained.bounds.values())


def test_the_version_follows_from_rows_labels_prompt_and_options():
    rows = examples(1000)
    version = train(rows, ("topic",), PROMPT, OPTIONS).version
    assert version == train(rows, ("topic",), PROMPT, OPTIONS).version
    others = [
        train(examples(1000, noise=0.1), ("topic",), PROMPT, OPTIONS),
        train(rows, ("topic",), "another prompt", OPTIONS),
        train(rows, ("topic",), PROMPT, OPTIONS.model_copy(update={"agreement": 0.8})),
        train(replace(rows, embedding="another"), ("topic",), PROMPT, OPTIONS),
    ]
    assert len({version, *(each.version for each in others)}) == 5


def test_too_few_rows_say_how_many_are_needed():
    with pytest.raises(SettingsError, match=r"needs 50 of each: label more weeks"):
        train(examples(60), ("topic",), PROMPT, OPTIONS)


def test_shares_are_chosen_by_hash_and_grow():
    names = [name(number) for number in range(20_000)]
    small, large = chosen(names, 0.02, "a"), chosen(names, 0.1, "a")
    assert small.mean() == pytest.approx(0.02, abs=0.005)
    assert not (small & ~large).any()
    assert np.corrcoef(places(names, "a"), places(names, "b"))[0, 1] == pytest.approx(0, abs=0.03)
    assert np.array_equal(chosen(names[:10], 0.5, "a"), chosen(names, 0.5, "a")[:10])

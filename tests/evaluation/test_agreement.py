"""Agreement, held against scikit-learn and statsmodels to 1e-9, intervals included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.inter_rater import cohens_kappa

from semtel_dagster.evaluation.agreement import MISSING, cohen_kappa, compare, confusion, measure, replicate
from tests.evaluation.builders import noisy_pairs, task

TOPIC = task(labels=("work", "travel", "food", "rare"))
SCALE = task("satisfaction", ("1", "2", "3", "4", "5"), ordinal=True)
REPLICATES = 60


def names(a_task):
    return [label.name for label in a_task.labels]


def filled(pairs):
    return [gold for gold, _ in pairs], [ours or MISSING for _, ours in pairs]


def pairs_of(table, labels):
    """A confusion table written out as pairs again, so that another library can count it."""
    all_names = [*labels, None]
    return [
        (all_names[row], all_names[column])
        for row, column in np.argwhere(table > 0)
        for _ in range(int(table[row, column]))
    ]


def figures(pairs, a_task, present):
    """The same figures by scikit-learn."""
    gold, ours = filled(pairs)
    labels = names(a_task)
    precision, recall, *_ = metrics.precision_recall_fscore_support(gold, ours, labels=labels, zero_division=np.nan)
    weights = "quadratic" if a_task.ordinal else None
    kappa_labels = labels if a_task.ordinal else [*labels, MISSING]
    return {
        "accuracy": metrics.accuracy_score(gold, ours),
        "macro_f1": metrics.f1_score(gold, ours, labels=present, average="macro", zero_division=0),
        "kappa": metrics.cohen_kappa_score(gold, ours, labels=kappa_labels, weights=weights),
        "precision": precision,
        "recall": recall,
    }


@pytest.mark.parametrize(
    ("a_task", "missing"), [(TOPIC, 0.0), (TOPIC, 0.1), (SCALE, 0.0)], ids=["nominal", "missing", "ordinal"]
)
def test_every_figure_and_interval_is_scikit_learns(a_task, missing):
    pairs = noisy_pairs(a_task, 400, 0.7, missing=missing)
    found = measure(a_task, pairs, seed=3, replicates=REPLICATES)
    labels = names(a_task)
    present = [label for label in labels if label in {x for pair in pairs for x in pair}]
    expected = figures(pairs, a_task, present)
    by_hand = [
        figures(pairs_of(t, labels), a_task, present) for t in replicate(confusion(pairs, labels), 3, REPLICATES)
    ]
    for name in ("accuracy", "macro_f1", "kappa"):
        estimate = getattr(found, name)
        ends = np.quantile([each[name] for each in by_hand], [0.025, 0.975])
        assert estimate.value == pytest.approx(expected[name], abs=1e-9)
        assert (estimate.low, estimate.high) == pytest.approx(tuple(ends), abs=1e-9)
    for place, label in enumerate(found.labels):
        for name in ("precision", "recall"):
            estimate = getattr(label, name)
            ends = np.nanquantile([each[name][place] for each in by_hand], [0.025, 0.975])
            assert estimate.value == pytest.approx(expected[name][place], abs=1e-9)
            assert (estimate.low, estimate.high) == pytest.approx(tuple(ends), abs=1e-9)
    gold, ours = filled(pairs)
    counted = metrics.confusion_matrix(gold, ours, labels=[*labels, MISSING])[:-1]
    assert np.array_equal(np.array(found.confusion), counted)


def test_a_missing_label_is_farther_than_any_in_a_quadratic_kappa():
    pairs = noisy_pairs(SCALE, 300, 0.6, missing=0.15)
    table = confusion(pairs, names(SCALE))
    order = np.arange(6)
    weights = ((order[:, None] - order) / 4) ** 2
    weights[-1, :] = weights[:, -1] = 1
    weights[-1, -1] = 0
    expected = cohens_kappa(table, weights=weights, return_results=False)
    assert cohen_kappa(pairs, names(SCALE), quadratic=True) == pytest.approx(expected, abs=1e-9)


def test_bias_is_what_is_said_too_often():
    found = measure(task(labels=("a", "b")), [("a", "a"), ("b", "a"), ("b", "b"), ("b", None)], replicates=50)
    bias = {label.label: label.bias.value for label in found.labels}
    assert bias == {"a": pytest.approx(0.25), "b": pytest.approx(-0.5)}
    assert found.missing == 1
    assert found.majority == 0.75


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    """Of 200 sets with a true accuracy of .8 and uneven labels, some 95 % of the intervals hold it."""
    two = task(labels=("a", "b"))
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        right = rng.random(120) < 0.8
        pairs = [("a", "a" if hit else "b") for hit in right]
        accuracy = measure(two, pairs, seed=seed, replicates=300).accuracy
        held += accuracy.low <= 0.8 <= accuracy.high
    assert 180 <= held <= 198


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", None])), min_size=1, max_size=40))
def test_figures_stay_in_their_ranges(pairs):
    found = measure(task(labels=("a", "b", "c")), pairs, replicates=20)
    assert 0 <= found.accuracy.low <= found.accuracy.high <= 1
    assert found.kappa.value is None or -1 <= found.kappa.value <= 1
    assert sum(map(sum, found.confusion)) == len(pairs)
    assert sum(label.bias.value for label in found.labels) == pytest.approx(-found.missing / len(pairs))


def test_the_paired_test_is_mcnemars_for_nominal_labels():
    triples = [("work", "work", "food")] * 14 + [("work", "food", "work")] * 4 + [("food", "food", "food")] * 50
    found = compare(TOPIC, triples)
    assert (found.n, found.better, found.worse) == (68, 4, 14)
    assert (found.before, found.after) == (pytest.approx(64 / 68), pytest.approx(54 / 68))
    expected = mcnemar([[50, 14], [4, 0]], exact=True).pvalue
    assert found.p_value == pytest.approx(expected, abs=1e-9)


def test_the_paired_test_counts_steps_of_a_scale():
    assert compare(SCALE, [("1", "5", "3")] * 6).better == 6
    assert compare(TOPIC, [("work", "food", "travel")] * 6).p_value == compare(TOPIC, []).p_value == 1
    assert compare(SCALE, [("1", "5", None)] * 6).worse == 6

"""Distances of label distributions against scipy, and permutation tests against chance."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from semtel_dagster.evaluation.drift import jensen_shannon, paired_drift, total_variation, unpaired_drift

LABELS = ["a", "b", "c"]


def drawn(n, shares, seed):
    return np.random.default_rng(seed).choice(LABELS, size=n, p=shares).tolist()


def test_distances_are_scipys():
    rng = np.random.default_rng(0)
    p, q = rng.random((20, 5)), rng.random((20, 5))
    p[:, 0] = 0
    q[:10, 1] = 0
    expected = [jensenshannon(a, b, base=2) for a, b in zip(p, q, strict=True)]
    assert jensen_shannon(p, q) == pytest.approx(expected, abs=1e-9)
    halves = [abs(a / a.sum() - b / b.sum()).sum() / 2 for a, b in zip(p, q, strict=True)]
    assert total_variation(p, q) == pytest.approx(halves, abs=1e-9)


def test_a_directed_shift_is_found_and_random_flips_are_not():
    before = drawn(300, [0.5, 0.3, 0.2], 1)
    flipped = ["b" if label == "a" and place % 4 == 0 else label for place, label in enumerate(before)]
    shifted = paired_drift(list(zip(before, flipped, strict=True)), LABELS)
    assert shifted.p_value < 0.001
    assert shifted.moved["b"] == pytest.approx(shifted.total_variation) == pytest.approx(shifted.flips)
    exchanged = [{"a": "b", "b": "a"}.get(x, x) if n % 11 == 0 else x for n, x in enumerate(["a", "b"] * 150)]
    same = paired_drift(list(zip(["a", "b"] * 150, exchanged, strict=True)), LABELS)
    assert same.flips == pytest.approx(28 / 300)
    assert same.p_value > 0.05


def test_the_same_labels_are_no_shift():
    before = drawn(50, [0.5, 0.3, 0.2], 1)
    same = paired_drift(list(zip(before, before, strict=True)), LABELS)
    assert (same.total_variation, same.jensen_shannon, same.flips, same.p_value) == (0, 0, 0, 1)


def test_missing_labels_count_as_a_label():
    before = ["a"] * 40
    found = paired_drift([(label, None if n < 10 else label) for n, label in enumerate(before)], LABELS)
    assert found.total_variation == 0.25
    assert found.moved["(unlabelled)"] == 0.25


def test_the_unpaired_test_is_as_rare_as_it_says():
    """Under the null hypothesis a p-value under .05 comes in some 5 % of trials; a true shift is found."""
    alarms = 0
    for seed in range(100):
        one, two = drawn(80, [0.5, 0.3, 0.2], 2 * seed), drawn(120, [0.5, 0.3, 0.2], 2 * seed + 1)
        alarms += unpaired_drift(one, two, LABELS, permutations=199).p_value < 0.05
    assert alarms <= 12
    assert unpaired_drift(drawn(300, [0.6, 0.2, 0.2], 1), drawn(300, [0.3, 0.5, 0.2], 2), LABELS).p_value < 0.001


def test_the_paired_p_value_is_the_sign_test_where_one_kind_of_flip_occurs():
    """Seven flips, all from a to b: both directions together have probability 2 / 2^7."""
    pairs = [("a", "b")] * 7 + [("c", "c")] * 20
    assert paired_drift(pairs, LABELS, permutations=60_000).p_value == pytest.approx(2 / 2**7, rel=0.1)

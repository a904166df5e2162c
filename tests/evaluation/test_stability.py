import numpy as np
import pytest

from semtel_dagster.evaluation.stability import measure_stability


def test_flip_rate_by_hand():
    """Three repeats: the first conversation agrees in 1 of 3 pairs, the others in all."""
    found = measure_stability([["a", "b", None], ["a", "b", None], ["b", "b", None]])
    assert (found.n, found.repeats) == (3, 3)
    assert found.consistent.value == pytest.approx(2 / 3)
    assert found.flip_rate.value == pytest.approx(2 / 9)
    assert found.flips == {"a": pytest.approx(2 / 3), "b": 0, "(unlabelled)": 0}


def test_intervals_are_a_bootstrap_over_conversations():
    rng = np.random.default_rng(5)
    repeats = [rng.choice(["a", "b"], size=200, p=[0.8, 0.2]).tolist() for _ in range(2)]
    found = measure_stability(repeats, seed=1, replicates=4000)
    differ = np.array(repeats[0]) != np.array(repeats[1])
    means = [rng.choice(differ, size=200).mean() for _ in range(4000)]
    assert found.flip_rate.value == pytest.approx(differ.mean())
    assert (found.flip_rate.low, found.flip_rate.high) == pytest.approx(
        tuple(np.quantile(means, [0.025, 0.975])), abs=0.02
    )


def test_one_repeat_says_nothing():
    assert measure_stability([["a", "b"]]) is None
    assert measure_stability([[], []]) is None

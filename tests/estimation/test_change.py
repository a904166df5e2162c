import numpy as np
import pytest

from semtel_dagster.estimation.change import changes
from semtel_dagster.estimation.intervals import wilson
from semtel_dagster.estimation.shares import Share


def share(value, size):
    return Share(value, size, *wilson(value, size, 1.96))


def test_only_cells_that_both_weeks_publish_are_compared():
    found = changes({"a": share(0.4, 100), "new": share(0.1, 100)}, {"a": share(0.4, 100), "gone": share(0.1, 100)})
    assert set(found) == {"a"}
    assert found["a"].difference == 0
    assert not found["a"].significant


def test_a_large_shift_is_significant_and_its_interval_excludes_zero():
    found = changes({"a": share(0.5, 400)}, {"a": share(0.3, 400)})["a"]
    assert found.significant
    assert found.difference == pytest.approx(0.2)
    assert 0 < found.low < 0.2 < found.high


def test_the_same_shift_among_many_comparisons_may_be_noise():
    """p = 0.04 alone; one of 30 after correction."""
    now, before = {"a": share(0.372, 400)}, {"a": share(0.3, 400)}
    noise = {number: share(0.3, 400) for number in range(29)}
    assert changes(now, before)["a"].significant
    assert not changes(now | noise, before | noise)["a"].significant


def test_two_empty_cells_do_not_differ():
    assert changes({"a": share(0.0, 50)}, {"a": share(0.0, 80)})["a"].p_value == 1


def test_when_nothing_changes_false_alarms_are_as_rare_as_promised():
    draw = np.random.default_rng(3)
    alarms = 0
    for _ in range(400):
        weeks = [{label: share(draw.binomial(500, 0.2) / 500, 500) for label in range(8)} for _ in range(2)]
        alarms += any(change.significant for change in changes(*weeks).values())
    assert alarms / 400 <= 0.08

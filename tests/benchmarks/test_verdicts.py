"""The verdict's thresholds hold what they promise: few false alarms, and losses that matter are found."""

import pytest

from benchmarks import verdicts
from semtel_dagster.evaluation.verdict import ALIGNED, SHIFTED, WORSE

ROUNDS = 60


def simulated(name):
    """How often each verdict was given with 300 golden cases and 300 others."""
    (case,) = [each for each in verdicts.cases() if each.name == name]
    return verdicts.simulate(case, 300, 300, ROUNDS)


@pytest.mark.parametrize("unsteady", ["2%", "30%"])
def test_where_nothing_changed_there_is_hardly_an_alarm(unsteady):
    """Two tests at 1 % each; four alarms in 60 rounds have a chance below 4 %."""
    assert simulated(f"nothing, {unsteady} drawn anew")[ALIGNED] >= ROUNDS - 4


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ("accuracy falls by 10%", WORSE),
        ("two labels swapped", WORSE),
        ("10% of all move from a to b", SHIFTED),
        ("10% of answers have no label", WORSE),
    ],
)
def test_a_change_that_matters_is_found(change, verdict):
    assert simulated(change)[verdict] >= 0.95 * ROUNDS


def test_an_improvement_is_never_called_worse():
    assert simulated("accuracy rises by 10%")[WORSE] == 0

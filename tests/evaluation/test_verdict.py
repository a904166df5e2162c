"""What counts as worse, as shifted, and as neither."""

import pytest

from semtel_dagster.evaluation.agreement import Estimate, compare
from semtel_dagster.evaluation.drift import paired_drift
from semtel_dagster.evaluation.verdict import ALIGNED, SHIFTED, WORSE, Evidence, judge
from tests.evaluation.builders import task

TOPIC = task()
LABELS = ["work", "travel", "food"]


def gold_evidence(better, worse, same=100):
    triples = [("work", "food", "work")] * better + [("work", "work", "food")] * worse + [("work",) * 3] * same
    return Evidence("topic", paired=compare(TOPIC, triples))


def drift_evidence(pairs, unsteady=None):
    return Evidence("topic", drift=paired_drift(pairs, LABELS), unsteady=unsteady)


def test_lost_golden_cases_are_worse():
    verdict = judge([gold_evidence(better=2, worse=20)])
    assert verdict.kind == WORSE
    assert "accuracy 98.4% before, 83.6% now" in verdict.reasons[0]


@pytest.mark.parametrize(("better", "worse", "same"), [(8, 12, 100), (20, 2, 100), (0, 10, 1000)])
def test_chance_a_gain_and_a_tiny_loss_are_not_worse(better, worse, same):
    assert judge([gold_evidence(better, worse, same)]).kind == ALIGNED


def test_labels_that_move_one_way_are_a_shift_with_the_label_named():
    pairs = [("work", "travel")] * 20 + [("work", "work")] * 180
    verdict = judge([drift_evidence(pairs)])
    assert verdict.kind == SHIFTED
    assert "travel +10.0 points" in verdict.reasons[0]


def test_a_few_flips_both_ways_are_aligned():
    pairs = [("work", "travel"), ("travel", "work")] * 8 + [("work", "work")] * 184
    assert judge([drift_evidence(pairs)]).kind == ALIGNED


def test_many_flips_are_a_shift_though_the_shares_stay_unless_the_model_is_that_unsteady():
    pairs = [("work", "travel"), ("travel", "work")] * 40 + [("work", "work")] * 120
    assert judge([drift_evidence(pairs)]).kind == SHIFTED
    assert judge([drift_evidence(pairs, unsteady=Estimate(0.35))]).kind == ALIGNED


def test_answers_without_a_label_are_worse_even_without_gold():
    pairs = [("work", None)] * 20 + [("work", "work")] * 180
    verdict = judge([drift_evidence(pairs)])
    assert verdict.kind == WORSE
    assert "10.0% more conversations have no label" in verdict.reasons[0]


def test_the_gravest_task_decides():
    fine, bad = gold_evidence(0, 0), gold_evidence(0, 30)
    assert judge([fine, bad, fine]).kind == WORSE
    assert judge([]).kind == ALIGNED

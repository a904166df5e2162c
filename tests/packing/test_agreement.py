"""Agreement: the bound, the choice of a size, and what is kept between runs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from semtel_dagster.packing.agreement import Evidence, Record, bound, compare
from tests.packing.builders import PROMPTS, changed


@given(st.integers(1, 300), st.floats(0, 1))
def test_the_bound_is_clopper_and_pearsons(n, share):
    k = int(n * share)
    expected = binomtest(k, n, alternative="greater").proportion_ci(0.95, "exact").low
    assert bound({"colour": (k, n)}, 0.95) == pytest.approx(expected, abs=1e-9)


def test_the_task_that_agrees_least_decides():
    counts = {"colour": (200, 200), "shape": (180, 200)}
    assert bound(counts, 0.95) == bound({"shape": (180, 200)}, 0.95)
    assert bound({}, 0.95) == 0.0


def test_the_largest_size_counts_before_the_first_that_fails():
    evidence = Evidence({2: {"t": (200, 200)}, 4: {"t": (197, 200)}, 8: {"t": (150, 200)}, 16: {"t": (200, 200)}})
    assert evidence.size(0.95, 0.95) == 4
    assert evidence.size(0.80, 0.95) == 4
    assert evidence.size(0.999, 0.95) == 1
    assert Evidence({}).size(0.5, 0.95) == 1


def test_a_size_below_the_wanted_agreement_is_taken_no_more_often_than_stated():
    chance = np.random.default_rng(5)
    agreement = {2: 0.97, 4: 0.96, 8: 0.945, 16: 0.93, 32: 0.90}  # from 8 on below the wanted .95
    wrong = 0
    for _ in range(400):
        counts = {size: {"t": (int(chance.binomial(200, share)), 200)} for size, share in agreement.items()}
        wrong += Evidence(counts).size(0.95, 0.95) >= 8
    assert wrong / 400 <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_what_a_pack_does_not_answer_does_not_agree():
    singly = {"colour": {"a": '{"colour": "red"}', "b": '{"colour": "blue"}', "c": '{"colour": "Red."}', "d": "?"}}
    packed = {"colour": {"a": '{"colour": "red"}', "c": '{"colour": "red"}', "d": '{"colour": "red"}'}}
    # Without a single label there is nothing to agree with.
    assert compare(PROMPTS, singly, packed) == {"colour": (2, 3)}


def test_evidence_is_kept_by_prompts_and_models(tmp_path):
    record = Record(str(tmp_path), list(PROMPTS.values()), ["m"])
    assert record.read() == Evidence({})
    with record.alone():
        record.write(Evidence({4: {"colour": (9, 10)}}, tried=True))
    record.add(4, {"colour": (5, 5)})
    assert Record(str(tmp_path), list(PROMPTS.values())[::-1], ["m"]).read() == Evidence(
        {4: {"colour": (14, 15)}}, True
    )
    assert not Record(str(tmp_path), list(PROMPTS.values()), ["other"]).read().tried
    assert not Record(str(tmp_path), [PROMPTS["shape"], changed(PROMPTS["colour"], "And now?")], ["m"]).read().tried

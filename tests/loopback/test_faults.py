from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.loopback.chat import key_of
from semtel_dagster.loopback.faults import FaultDraw
from semtel_dagster.loopback.script import FAULT_KINDS, ROW_FAULTS, Faults

KEYS = [key_of(str(number)) for number in range(8_000)]
MIXED = Faults(**dict.fromkeys(FAULT_KINDS, 0.2 / len(FAULT_KINDS)))


def test_no_faults_strike_no_one():
    assert FaultDraw(Faults(), seed=1).none
    assert FaultDraw(Faults(), seed=1).draw(KEYS[0], 1) is None


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_a_certain_fault_strikes_every_call(kind):
    draw = FaultDraw(Faults(**{kind: 1.0}), seed=1)
    assert {draw.draw(key, call) for key in KEYS[:50] for call in (1, 2, 3)} == {kind}


def test_every_kind_strikes_its_share():
    struck = Counter(FaultDraw(MIXED, seed=3).draw(key, 1) for key in KEYS)
    expected = len(KEYS) * 0.2 / len(FAULT_KINDS)
    for kind in FAULT_KINDS:
        assert abs(struck[kind] - expected) < 5 * expected**0.5, kind


def test_a_rows_own_fault_stays_with_it_and_others_are_drawn_anew():
    draw = FaultDraw(MIXED, seed=3)
    first, second = ([draw.draw(key, call) for key in KEYS] for call in (1, 2))
    for before, after in zip(first, second, strict=True):
        if before in ROW_FAULTS or after in ROW_FAULTS:
            assert before == after
    fleeting = [pair for pair in zip(first, second, strict=True) if pair[0] and pair[0] not in ROW_FAULTS]
    assert sum(after is None for _, after in fleeting) > len(fleeting) / 2


def test_all_faults_can_stick():
    draw = FaultDraw(MIXED.model_copy(update={"sticky": "all"}), seed=3)
    assert [draw.draw(key, 1) for key in KEYS] == [draw.draw(key, 7) for key in KEYS]


def test_no_fault_need_stick():
    draw = FaultDraw(Faults(filtered_400=0.5, sticky="none"), seed=3)
    assert {draw.draw(KEYS[0], call) for call in range(1, 30)} == {None, "filtered_400"}


def test_a_fault_can_be_over_after_the_first_calls():
    draw = FaultDraw(Faults(error_500=1.0, first_calls=2), seed=3)
    assert [draw.draw(KEYS[0], call) for call in (1, 2, 3, 4)] == ["error_500", "error_500", None, None]


@given(order=st.permutations(range(12)))
def test_the_order_of_arrival_changes_nothing(order):
    draw = FaultDraw(MIXED, seed=3)
    calls = [(KEYS[number % 4], number // 4) for number in range(12)]
    assert {calls[at]: draw.draw(*calls[at]) for at in order} == {
        call: FaultDraw(MIXED, 3).draw(*call) for call in calls
    }


def test_another_seed_strikes_others():
    one, other = ([FaultDraw(MIXED, seed).draw(key, 1) for key in KEYS] for seed in (1, 2))
    assert one != other

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.loopback.schedule import Schedule, quota
from semtel_dagster.loopback.script import Phase, Script

phases = st.lists(
    st.builds(
        Phase,
        at_s=st.integers(0, 60).map(float),
        capacity=st.sampled_from([0.25, 0.5, 1.0, 2.0]),
        down=st.sampled_from([None, "unavailable"]),
    ),
    max_size=5,
    unique_by=lambda phase: phase.at_s,
).map(lambda several: tuple(sorted(several, key=lambda phase: phase.at_s)))


def test_before_the_first_phase_nothing_is_changed():
    schedule = Schedule((Phase(at_s=5, capacity=0.5), Phase(at_s=7, slow=3)))
    assert [schedule.at(at).capacity for at in (0, 4.9, 5, 6.9, 7, 1000)] == [1, 1, 0.5, 0.5, 1, 1]
    assert schedule.at(1000).slow == 3


def test_a_phase_may_begin_at_once():
    assert Schedule((Phase(at_s=0, down="reset"),)).at(0).down == "reset"


def test_quota_counts_capacity_and_leaves_outages_out():
    script = Script(
        limits={"requests_per_minute": 600},
        phases=(Phase(at_s=10, capacity=0.5), Phase(at_s=20, down="hang"), Phase(at_s=30)),
    )
    assert quota(script, 0, 40) == pytest.approx(100 + 50 + 0 + 100)
    assert quota(script, 15, 25) == pytest.approx(25)
    assert quota(Script(), 0, 1) == float("inf")


@given(phases=phases, start=st.integers(0, 60), length=st.integers(0, 30))
def test_quota_is_the_sum_over_the_seconds_of_the_schedule(phases, start, length):
    script = Script(limits={"requests_per_minute": 60}, phases=phases)
    schedule = Schedule(phases)
    seconds = [schedule.at(second) for second in range(start, start + length)]
    assert quota(script, start, start + length) == pytest.approx(
        sum(phase.capacity for phase in seconds if phase.down is None)
    )

import pytest
from pydantic import ValidationError

from semtel_dagster.loopback.script import FAULT_KINDS, Faults, Limits, Phase, Script


def test_a_script_survives_json():
    script = Script(
        limits=Limits(requests_per_minute=600, window_s=1, headers="lying"),
        faults=Faults(hang=0.1, filtered_400=0.05),
        phases=(Phase(at_s=5, capacity=0.5), Phase(at_s=9, down="reset", faults=Faults(error_500=1.0))),
        answers={"style": "confusion", "truth": {"hello": "greeting"}},
    )
    assert Script.model_validate_json(script.model_dump_json()) == script


def test_an_unknown_field_is_an_error_that_names_it():
    with pytest.raises(ValidationError, match="latncy"):
        Script.model_validate_json('{"latncy": {}}')


def test_faults_cannot_strike_more_than_every_call():
    with pytest.raises(ValidationError, match=r"add up to 1\.2"):
        Faults(hang=0.7, reset=0.5)


def test_faults_can_strike_every_call():
    share = 1 / len(FAULT_KINDS)
    assert len(Faults(**dict.fromkeys(FAULT_KINDS, share)).shares()) == len(FAULT_KINDS)


@pytest.mark.parametrize("times", [(5, 5), (9, 5)])
def test_phases_begin_one_after_the_other(times):
    with pytest.raises(ValidationError, match="phases must begin"):
        Script(phases=tuple(Phase(at_s=at) for at in times))


def test_processes_share_limits_and_knee():
    script = Script(
        latency={"full_speed": 100},
        limits={"requests_per_minute": 600, "tokens_per_minute": 1000, "burst_requests": 10, "max_in_flight": 9},
    )
    part = script.divided(4)
    assert part.limits.requests_per_minute == 150
    assert part.limits.tokens_per_minute == 250
    assert (part.limits.burst_requests, part.limits.max_in_flight, part.latency.full_speed) == (2, 2, 25)
    assert script.divided(1) is script
    assert Script().divided(2) == Script()

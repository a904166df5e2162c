from math import inf
from random import Random

from semtel_dagster.requests.health import FAILURES_TO_OPEN, AdaptiveTimeout, Breaker


def opened(now=0.0):
    breaker = Breaker(Random(1))
    for _ in range(FAILURES_TO_OPEN):
        breaker.fail(now, "server_error (HTTP 500)", probe=False)
    return breaker


def test_single_failures_leave_an_endpoint_in():
    breaker = Breaker()
    for _ in range(10 * FAILURES_TO_OPEN):
        breaker.fail(0.0, "timeout", probe=False)
        breaker.succeed()
    assert breaker.wait(0.0) == 0.0


def test_failures_in_a_row_take_it_out_and_a_probe_brings_it_back():
    breaker = opened()
    assert breaker.fault == "server_error (HTTP 500)"
    wait = breaker.wait(0.0)
    assert 0 < wait < 1
    assert breaker.wait(wait + 0.01) == 0.0
    assert breaker.begin()
    assert breaker.wait(wait + 0.01) == inf  # one probe at a time
    breaker.succeed()
    assert breaker.wait(wait + 0.01) == 0.0
    assert not breaker.begin()


def test_an_endpoint_that_returns_is_found_within_a_tenth_of_its_outage():
    breaker, now = opened(), 0.0
    while now < 120:
        gap = breaker.wait(now)
        assert 0 < gap <= max(0.65, 0.13 * now)
        assert gap < 7
        now += gap
        breaker.begin()
        breaker.fail(now, "unreachable", probe=True)
    assert breaker.wait(now) > 3  # a long outage is not hammered


def test_a_wrong_key_is_hopeless_only_once_probes_confirm_it():
    breaker, now = Breaker(), 0.0
    breaker.fail(now, "unauthorized", probe=False, unusable=True)
    assert not breaker.fault
    breaker.fail(now, "unauthorized", probe=False, unusable=True)
    assert breaker.fault
    assert not breaker.hopeless
    for _ in range(2):
        breaker.begin()
        breaker.fail(now, "unauthorized", probe=True, unusable=True)
    assert breaker.hopeless
    breaker.succeed()
    assert not breaker.hopeless


def test_a_late_failure_of_another_call_does_not_prolong_the_cooling():
    breaker = opened()
    before = breaker.wait(0.0)
    breaker.fail(0.4, "timeout", probe=False)
    assert breaker.wait(0.0) == before


def test_the_timeout_follows_what_calls_take():
    timeout, random = AdaptiveTimeout(60.0), Random(1)
    assert timeout.seconds() == 60.0
    latencies = [random.lognormvariate(-0.7, 0.4) for _ in range(500)]
    for latency in latencies:
        timeout.answered(latency)
    assert max(latencies) < timeout.seconds() < 20
    late = sum(latency > timeout.straggling for latency in latencies)
    assert late < 15


def test_timeouts_widen_the_timeout_up_to_the_setting():
    timeout = AdaptiveTimeout(30.0)
    for _ in range(50):
        timeout.answered(0.1)
    before = timeout.seconds()
    for _ in range(20):
        timeout.timed_out()
    assert before < timeout.seconds() <= 30.0


def test_calls_that_hang_among_many_answers_do_not_widen_it():
    timeout, random = AdaptiveTimeout(60.0), Random(2)
    for _ in range(2000):
        if random.random() < 0.2:
            timeout.timed_out()
        else:
            timeout.answered(0.1 * random.lognormvariate(0, 0.4))
    assert timeout.seconds() < 4


def test_a_row_that_was_cut_gets_twice_the_time_up_to_the_setting():
    timeout = AdaptiveTimeout(30.0)
    for _ in range(50):
        timeout.answered(0.1)
    assert timeout.seconds(1) == 2 * timeout.seconds()
    assert timeout.seconds(9) == 30.0

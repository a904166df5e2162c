"""Which calls get a second one, where, and how many."""

from math import inf

from semtel_dagster.requests.hedging import HEDGED_SHARE, find_straggler, may_hedge
from tests.requests.engines import BROKEN, a_row, an_endpoint, learn


def flying(endpoint, since=0.0):
    row = a_row()
    flight = endpoint.begin(row, since)
    row.flights = (flight,)
    return flight


def test_a_call_is_a_straggler_when_it_takes_longer_than_nearly_all_of_its_kind():
    endpoint = an_endpoint()
    learn(endpoint, latency=0.1)
    flight = flying(endpoint)
    assert find_straggler([flight], [endpoint], 0.1) is None
    assert find_straggler([flight], [endpoint], endpoint.timeout.straggling) == (flight, endpoint)


def test_nothing_is_a_straggler_while_the_usual_time_is_unknown():
    endpoint = an_endpoint()
    learn(endpoint, calls=5)
    assert endpoint.timeout.straggling == inf
    assert find_straggler([flying(endpoint)], [endpoint], 1e6) is None


def test_the_second_call_goes_elsewhere_if_it_can_and_to_the_fastest():
    here, slow, fast = an_endpoint(name="here"), an_endpoint(name="slow"), an_endpoint(name="fast")
    learn(here, latency=0.01)
    learn(slow, latency=5.0)
    learn(fast, latency=0.5)
    flight = flying(here)
    assert find_straggler([flight], [here, slow, fast], 100.0) == (flight, fast)
    assert find_straggler([flight], [here], 100.0) == (flight, here)


def test_an_endpoint_that_is_out_gets_none():
    endpoint = an_endpoint()
    learn(endpoint)
    flight = flying(endpoint)
    while not endpoint.breaker.fault:
        endpoint.end(endpoint.begin(a_row(), 0.0), BROKEN, 0.0)
    assert find_straggler([flight], [endpoint], 0.3) is None


def test_a_row_has_two_calls_at_most():
    endpoint = an_endpoint()
    learn(endpoint)
    flight = flying(endpoint)
    flight.row.flights = (flight, endpoint.begin(flight.row, 0.0))
    assert find_straggler([flight], [endpoint], 100.0) is None


def test_a_model_in_this_process_is_never_asked_twice_nor_for_others():
    embedded, remote = an_endpoint(name="embedded", kind="embedded"), an_endpoint(name="remote")
    for each in (embedded, remote):
        learn(each)
    assert find_straggler([flying(embedded)], [embedded, remote], 100.0) is None
    assert find_straggler([flying(remote)], [embedded], 100.0) is None


def test_two_percent_of_all_calls_at_most():
    endpoint = an_endpoint()
    learn(endpoint, calls=1000)
    hedged = 0
    while may_hedge([endpoint], hedged):
        hedged += 1
    assert hedged == HEDGED_SHARE * 1000

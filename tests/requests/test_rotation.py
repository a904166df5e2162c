from math import inf

import pyarrow as pa
import pytest

from semtel_dagster.requests.endpoint import Endpoint
from semtel_dagster.requests.health import FAILURES_TO_OPEN
from semtel_dagster.requests.outcome import Kind, Outcome
from semtel_dagster.requests.rotation import pick
from semtel_dagster.requests.row import Row
from semtel_dagster.settings import Price
from tests.requests import builders


class NoCaller:
    model = "m"


def an_endpoint(name="e", in_flight=4, **fields):
    settings = builders.endpoint("http://127.0.0.1:9/v1", name=name, max_in_flight=in_flight, **fields)
    return Endpoint(settings, NoCaller(), builders.plan("/nowhere", settings), 10, 20)


def a_row():
    return Row("h", pa.array(["x"], pa.large_string()), 0, 100)


def answer(endpoint, now, latency):
    flight = endpoint.begin(a_row(), now)
    outcome = Outcome(Kind.ANSWERED, status=200, text="x", input_tokens=100, cached_tokens=60, output_tokens=5)
    endpoint.end(flight, outcome, now + latency)


def fill(endpoint, now=0.0):
    while endpoint.concurrency.has_room(0.0):
        endpoint.begin(a_row(), now)


def break_down(endpoint, now=0.0):
    for _ in range(FAILURES_TO_OPEN):
        endpoint.end(endpoint.begin(a_row(), now), Outcome(Kind.TRANSIENT, "server_error", 500), now)


def test_the_faster_endpoint_comes_first():
    slow, fast = an_endpoint("slow"), an_endpoint("fast")
    answer(slow, 0.0, 5.0)
    answer(fast, 0.0, 0.2)
    assert pick([slow, fast], 6.0, 100, a_row()) == (fast, 0.0)


def test_a_long_queue_uses_every_endpoint_and_a_short_one_waits_for_the_fast():
    slow, fast = an_endpoint("slow"), an_endpoint("fast")
    answer(slow, 0.0, 50.0)
    answer(fast, 49.0, 0.2)
    fill(fast, 50.0)
    assert pick([slow, fast], 50.0, 10_000, a_row())[0] is slow
    endpoint, wait = pick([slow, fast], 50.0, 1, a_row())
    assert endpoint is None
    assert 0 < wait < 1


def test_when_all_are_full_it_waits_for_a_call_to_end():
    one, two = an_endpoint("one"), an_endpoint("two")
    fill(one)
    fill(two)
    assert pick([one, two], 0.0, 5, a_row()) == (None, inf)


def test_when_all_cool_down_it_waits_for_the_first_to_be_ready():
    one, two = an_endpoint("one"), an_endpoint("two")
    for endpoint, seconds in ((one, 2.0), (two, 1.0)):
        endpoint.end(endpoint.begin(a_row(), 0.0), Outcome(Kind.REFUSED, status=429, retry_after=seconds), 0.1)
    endpoint, wait = pick([one, two], 0.1, 5, a_row())
    assert endpoint is None
    assert 0.99 < wait < 1.2


def test_an_endpoint_that_is_out_gets_nothing_but_a_probe():
    out, well = an_endpoint("out"), an_endpoint("well")
    break_down(out)
    assert pick([out, well], 0.01, 100, a_row())[0] is well
    fill(well)
    assert pick([out, well], 2.0, 100, a_row())[0] is out
    assert out.begin(a_row(), 2.0).probe
    assert pick([out, well], 2.0, 100, a_row())[0] is None


def test_a_row_goes_elsewhere_than_where_it_failed():
    one, two = an_endpoint("one"), an_endpoint("two")
    row = a_row()
    row.avoid = one
    fill(two)
    assert pick([one, two], 0.0, 5, row)[0] is None
    break_down(two)
    assert pick([one, two], 0.1, 5, row)[0] is one


def test_an_outage_is_not_taken_for_overload():
    endpoint = an_endpoint(in_flight=64)
    before = endpoint.concurrency.limit
    flights = [endpoint.begin(a_row(), 0.0) for _ in range(16)]
    for flight in flights:
        endpoint.end(flight, Outcome(Kind.OVERLOADED, "overloaded", 503), 0.1)
    assert endpoint.concurrency.limit < before
    answer(endpoint, 3.0, 0.1)
    assert endpoint.concurrency.limit == before
    assert endpoint.breaker.fault == ""


def test_cost_is_by_fresh_cached_and_output_tokens():
    endpoint = an_endpoint(price=Price(input=1.0, cached_input=0.5, output=10.0))
    answer(endpoint, 0.0, 1.0)
    assert endpoint.cost_usd == pytest.approx((40 * 1.0 + 60 * 0.5 + 5 * 10.0) / 1e6)
    figures = endpoint.figures()
    assert (figures.calls, figures.answered, figures.cached_tokens) == (1, 1, 60)

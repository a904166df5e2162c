"""What a call that brought no answer means for its row."""

from math import inf

import pytest

from semtel_dagster.requests.outcome import Kind, Outcome
from semtel_dagster.requests.retry import LONGEST_ROW_WAIT_S, MOST_ROW_FAULTS, OUTAGE_S, Retry
from semtel_dagster.requests.waiting import Waiting
from tests.requests.engines import BROKEN, a_row, an_endpoint

FILTERED = Outcome(Kind.ROW_FAULT, "content_filter", 400)
EMPTY = Outcome(Kind.EMPTY, "empty_answer", 200)
ATTEMPTS = 3


class Bench:
    """A row, the endpoints it may go to, and the line it waits in."""

    def __init__(self, endpoints=1):
        self.endpoints = [an_endpoint(name=str(number)) for number in range(endpoints)]
        self.waiting, self.row = Waiting(), a_row()
        self.retry = Retry(self.waiting, self.endpoints, ATTEMPTS)

    def meets(self, outcome, endpoint=0, probe=False, now=0.0):
        """A call ends so; whether the row ends by it."""
        flight = self.endpoints[endpoint].begin(self.row, now)
        flight.probe = probe
        return self.retry.ends(flight, outcome, now)

    @property
    def state(self):
        return "in line" if self.waiting.ready else "later" if self.waiting.next_at < inf else "nowhere"


def test_a_failure_is_tried_again_later_until_the_tries_are_used_up():
    bench = Bench()
    assert [bench.meets(BROKEN) for _ in range(ATTEMPTS)] == [False, False, True]
    assert bench.row.last is BROKEN


@pytest.mark.parametrize("retry_after", [None, 1.5, 3600.0])
def test_a_refusal_never_counts_and_a_lone_one_waits_as_it_was_told_up_to_a_bound(retry_after):
    bench = Bench()
    refused = Outcome(Kind.REFUSED, "rate_limited", 429, retry_after=retry_after)
    assert not any(bench.meets(refused) for _ in range(20))
    assert (bench.row.tries, bench.row.refusals, bench.state) == (0, 20, "later")
    if retry_after:
        assert bench.waiting.next_at == min(retry_after, LONGEST_ROW_WAIT_S)


def test_a_refused_row_goes_to_another_endpoint_at_once():
    bench = Bench(endpoints=2)
    assert not bench.meets(Outcome(Kind.REFUSED, "rate_limited", 429, retry_after=60.0))
    assert (bench.state, bench.row.avoid) == ("in line", bench.endpoints[0])


def test_a_fault_of_the_row_ends_it_where_nobody_else_could_see_it_otherwise():
    assert Bench().meets(FILTERED)
    assert [Bench(endpoints=2).meets(FILTERED) for _ in range(2)] == [False, False]
    bench = Bench(endpoints=2)
    assert [bench.meets(FILTERED, 0), bench.meets(FILTERED, 1)] == [False, True]


def test_an_empty_answer_is_asked_for_once_more():
    bench = Bench()
    assert [bench.meets(EMPTY) for _ in range(MOST_ROW_FAULTS)] == [False, True]


def test_what_the_endpoint_lacks_counts_nothing():
    bench = Bench()
    assert not any(bench.meets(Outcome(Kind.UNSUPPORTED, "unsupported_parameter", 400)) for _ in range(10))
    assert (bench.row.tries, bench.state) == (0, "in line")


def test_a_probe_counts_only_against_a_row_that_failed_while_others_were_answered():
    bench = Bench()
    assert not any(bench.meets(BROKEN, probe=True) for _ in range(10))
    bench.row.tries = 1
    bench.row.fail_beside(answers=5)
    assert bench.row.suspect
    assert [bench.meets(BROKEN, probe=True) for _ in range(2)] == [False, True]


@pytest.mark.parametrize(("status", "counts"), [(500, True), (200, True), (502, False), (None, False)])
def test_a_probe_counts_when_the_server_itself_has_been_replying_with_errors_for_long(status, counts):
    bench = Bench()
    broken, soon, late = Outcome(Kind.TRANSIENT, "server_error", status), 1.0, 1.5 * OUTAGE_S
    while not bench.endpoints[0].breaker.fault:
        bench.endpoints[0].end(bench.endpoints[0].begin(a_row(), 0.0), broken, 0.0)
    assert not any(bench.meets(broken, probe=True, now=soon) for _ in range(10))
    assert [bench.meets(broken, probe=True, now=late) for _ in range(ATTEMPTS)] == [False, False, counts]


def test_a_row_that_failed_while_nobody_was_answered_is_not_suspect():
    row = a_row()
    row.fail_beside(answers=5)
    row.tries = 1
    row.fail_beside(answers=5)
    assert not row.suspect


@pytest.mark.parametrize("outcome", [BROKEN, Outcome(Kind.REFUSED, "rate_limited", 429)])
def test_a_row_with_another_call_under_way_is_left_to_that_one(outcome):
    bench = Bench()
    bench.row.flights = (bench.endpoints[0].begin(bench.row, 0.0),)
    assert not bench.meets(outcome)
    assert bench.state == "nowhere"

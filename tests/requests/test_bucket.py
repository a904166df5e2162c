"""What may go at a rate, and what a pause leaves."""

import pytest

from semtel_dagster.requests.bucket import BURST_S, FIRST_TRUST, TokenBucket

RATE = 100.0


def sent(bucket, since, until):
    """Units that go one by one, each as soon as it may."""
    count, now = 0, since
    while now < until:
        bucket.refill(now, RATE)
        wait = bucket.wait(RATE)
        if wait == 0.0:
            bucket.level -= 1
            count += 1
        now += wait
    return count


def test_it_holds_no_more_than_a_moments_worth():
    bucket = TokenBucket()
    bucket.refill(1000.0, RATE)
    assert bucket.level == RATE * BURST_S
    assert not bucket.refill(1001.0, RATE)
    assert sent(bucket, 1001.0, 1002.0) == pytest.approx(RATE * (1 + BURST_S), abs=2)


def test_a_pause_is_made_up_for_by_the_part_that_is_trusted_and_never_all_at_once():
    bucket = TokenBucket()
    assert bucket.resume(10.0, 1.0, 0.4, RATE) == 0.4 * FIRST_TRUST
    at_once = sent(bucket, 10.0, 10.1)
    assert at_once == pytest.approx(2 * RATE * 0.1, abs=2)
    assert at_once + sent(bucket, 10.1, 11.0) == pytest.approx(RATE * (1 + 0.4 * FIRST_TRUST), abs=3)


def test_trust_grows_where_it_goes_well_and_halves_where_it_is_refused_soon_after():
    bucket = TokenBucket()
    for at in (10.0, 20.0, 30.0):
        before = bucket.resume(at, 1.0, 1.0, RATE)
    assert before == pytest.approx(FIRST_TRUST + 0.2)
    bucket.refuse(30.5, 1.0, RATE)
    assert bucket.resume(31.0, 1.0, 1.0, RATE) == pytest.approx((FIRST_TRUST + 0.3) / 2)
    bucket.refuse(60.0, 1.0, RATE)  # long after: it is about something else
    assert bucket.resume(61.0, 1.0, 1.0, RATE) == pytest.approx((FIRST_TRUST + 0.3) / 2 + 0.1)


def test_what_is_owed_has_to_be_paid_first():
    bucket = TokenBucket()
    bucket.owe(5.0, RATE)
    assert sent(bucket, 5.0, 5.9) == 0
    assert sent(bucket, 5.9, 7.0) == pytest.approx(RATE, abs=2)

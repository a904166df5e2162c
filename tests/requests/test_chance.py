"""Refusals by chance and refusals by a limit are told apart, on a virtual clock."""

from statistics import median

import pytest

from semtel_dagster.requests.concurrency import AdaptiveConcurrency
from semtel_dagster.requests.limiter import Limiter
from tests.requests.virtual import Client, Quota, Random, Server, client, simulate


def against(quota, seconds=60.0, says="exact"):
    one = client()
    simulate(Server(quota, says=says), [one], seconds)
    return one


@pytest.mark.parametrize("says", ["exact", "seconds", "nothing"])
@pytest.mark.parametrize("seed", [0, 1, 4])
def test_refusals_by_chance_delay_their_own_rows_and_not_the_endpoint(says, seed):
    one = Client(Limiter(random=Random(seed)), AdaptiveConcurrency(16, 64))
    simulate(Server(says=says, by_chance=0.015, median=0.2), [one], 60, seed)
    assert one.rate(10, 60) > 0.4 * 64 / 0.2 / 1.08


@pytest.mark.parametrize("by_chance", [0.01, 0.03])
@pytest.mark.parametrize("says", ["exact", "seconds", "nothing"])
def test_a_quota_is_found_and_used_though_calls_are_refused_by_chance(by_chance, says):
    rates, refused = [], []
    for seed in range(11, 18):
        one = Client(Limiter(random=Random(seed)), AdaptiveConcurrency(16, 2048))
        simulate(Server(Quota(lambda now: 100.0, 1.0), says=says, by_chance=by_chance), [one], 60, seed)
        rates.append(one.rate(10, 60))
        refused.append(one.share_refused())
    assert median(rates) > 0.93 * 100
    assert median(refused) < by_chance + 0.02


@pytest.mark.parametrize("says", ["exact", "seconds", "nothing"])
@pytest.mark.parametrize("by_chance", [0.2, 0.3])
def test_many_calls_refused_by_chance_do_not_make_the_endpoint_crawl(says, by_chance):
    rates, refused = [], []
    for seed in (11, 12, 13):
        one = Client(Limiter(random=Random(seed)), AdaptiveConcurrency(16, 64))
        simulate(Server(says=says, by_chance=by_chance, median=0.4), [one], 90, seed)
        rates.append(one.rate(60, 90))
        refused.append(one.share_refused())
    assert sorted(rates)[1] > 0.7 * 64 / 0.4 / 1.08
    assert sorted(refused)[1] < by_chance + 0.05


def test_a_quota_that_was_told_is_used_and_kept_though_a_fifth_of_the_calls_is_refused_by_chance():
    one = client(per_minute=3000)
    simulate(Server(Quota(lambda now: 50.0, 1.0), by_chance=0.2, median=0.2), [one], 60, 11)
    assert one.rate(30, 60) > 0.7 * 0.8 * 50
    assert one.sent < 1.02 * 60 * 50


@pytest.mark.parametrize("per_second", [1.0, 20.0, 100.0])
@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("says", ["exact", "seconds"])
def test_a_quota_is_never_taken_for_chance(per_second, fixed, says):
    one = against(Quota(lambda now: per_second, 1.0, fixed=fixed), says=says)
    assert not one.limiter.expects_chance


@pytest.mark.parametrize("latency", [0.03, 0.2])
@pytest.mark.parametrize("by_chance", [0.012, 0.03])
@pytest.mark.parametrize("seed", [1, 4])
def test_a_fast_endpoint_without_a_limit_is_used_though_some_calls_are_refused_by_chance(seed, by_chance, latency):
    one = Client(Limiter(random=Random(seed)), AdaptiveConcurrency(16, 64))
    simulate(Server(by_chance=by_chance, median=latency), [one], 40, seed)
    assert one.rate(10, 40) > 0.85 * 64 / latency / 1.08

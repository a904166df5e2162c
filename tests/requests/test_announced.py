"""Announced limits are believed in proportion, and never so far that a lie could hurt."""

from math import inf

import pytest

from semtel_dagster.requests.announced import Announced
from tests.requests.test_limits import against
from tests.requests.virtual import Quota, Server, client, simulate


def halved(now):
    return 50.0 if now >= 20 else 100.0


def doubled(now):
    return 100.0 if now >= 20 else 50.0


def told(announces, per_second=lambda now: 50.0, seconds=60.0):
    one = client()
    simulate(Server(Quota(per_second, 1.0), announces=announces), [one], seconds)
    return one


def test_a_limit_says_nothing_before_it_was_seen_three_times():
    one = Announced()
    assert [one.take(600.0, at) for at in (0.0, 0.1)] == [1.0, 1.0]
    assert one.per_second == inf
    one.take(600.0, 0.2)
    assert one.per_second == 10.0


def test_a_change_scales_whatever_the_window_is():
    one = Announced()
    for at in range(3):
        one.take(100.0, at)
    assert [one.take(200.0, 10.0 + at) for at in range(3)] == [1.0, 1.0, 2.0]


def test_restless_limits_scale_nothing():
    one = Announced()
    factors = [one.take(100.0 + 100.0 * (at // 3 % 2), 10.0 + 0.1 * at) for at in range(60)]
    assert sum(factor != 1.0 for factor in factors) <= 1


@pytest.mark.parametrize("value", [1e-3, 1e9])
def test_a_change_is_believed_up_to_fourfold(value):
    one = Announced()
    for at in range(3):
        one.take(1000.0, at)
    assert 0.25 <= [one.take(value, 10.0 + at) for at in range(3)][-1] <= 4.0


@pytest.mark.parametrize(
    "announces",
    [
        pytest.param(lambda now: 3000.0, id="true"),
        pytest.param(lambda now: 30_000.0, id="ten times too much"),
        pytest.param(lambda now: 300.0, id="ten times too little"),
        pytest.param(lambda now: 500.0, id="of a ten-second window"),
        pytest.param(lambda now: 12_000.0, id="of a shared pool"),
        pytest.param(lambda now: 3000.0 * (1 + now // 7 % 3), id="restless"),
    ],
)
def test_no_headers_hurt(announces):
    one = told(announces)
    assert one.rate(20, 60) > 0.95 * 50
    assert one.share_refused() < 0.03


def test_a_true_limit_spares_refusals_at_the_start():
    silent, announced = against(Quota(lambda now: 1.0, 60.0)), client()
    simulate(Server(Quota(lambda now: 1.0, 60.0), announces=lambda now: 60.0), [announced], 60.0)
    assert len(announced.refused) < len(silent.refused)
    assert len(announced.answered) > 0.9 * len(silent.answered)


def test_an_announced_doubling_is_used_sooner_than_a_silent_one():
    silent = told(None, doubled, 30.0)
    announced = told(lambda now: 60 * doubled(now), doubled, 30.0)
    assert announced.rate(20.5, 22) > 0.85 * 100
    assert announced.rate(20.5, 22) > silent.rate(20.5, 22)


def test_an_announced_cut_is_not_taken_twice_when_refusals_told_of_it_first():
    announced = told(lambda now: 60 * halved(now), halved, 30.0)
    assert announced.rate(22, 30) > 0.9 * 50

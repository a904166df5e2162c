"""What the limiter and the concurrency achieve against servers whose limits nobody told them, on a virtual clock."""

import pytest

from semtel_dagster.requests.concurrency import AdaptiveConcurrency
from semtel_dagster.requests.limiter import Limiter
from tests.requests.virtual import Client, Quota, Random, Server, client, simulate


def against(quota, seconds=60.0, says="exact", per_minute=None):
    one = client(per_minute)
    simulate(Server(quota, says=says), [one], seconds)
    return one


@pytest.mark.parametrize("says", ["exact", "seconds", "nothing"])
@pytest.mark.parametrize("window", [1.0, 10.0, 60.0])
def test_an_unknown_quota_is_used_up_with_few_refusals(window, says):
    one = against(Quota(lambda now: 50.0, window), says=says)
    assert one.rate(20, 60) > 0.95 * 50
    assert one.share_refused() < 0.03


@pytest.mark.parametrize("window", [1.0, 10.0])
def test_a_quota_of_fixed_windows_is_used_up(window):
    one = against(Quota(lambda now: 50.0, window, fixed=True))
    assert one.rate(20, 60) > 0.93 * 50
    assert one.share_refused() < 0.03


@pytest.mark.parametrize("seed", range(4))
def test_whole_second_waits_do_not_cost_what_they_are_rounded_up_by(seed):
    one = Client(Limiter(random=Random(seed)), AdaptiveConcurrency(16, 2048))
    simulate(Server(Quota(lambda now: 50.0, 1.0, fixed=True), says="seconds"), [one], 60, seed)
    assert one.rate(20, 60) > 0.95 * 50
    assert one.share_refused() < 0.03


def test_long_windows_without_a_word_about_waiting_are_rarely_run_into():
    one = against(Quota(lambda now: 50.0, 10.0, fixed=True), says="nothing")
    assert one.rate(20, 60) > 0.95 * 50
    assert one.share_refused() < 0.03


def test_a_lone_refusal_pauses_nothing():
    limiter = Limiter(random=Random(1))
    for number in range(50):
        limiter.reserve(0.02 * number, 10)
    assert not limiter.refuse(1.0, 0.98, 10, 5.0, "")
    assert limiter.wait(1.0) == 0.0


def test_a_lone_refusal_that_shows_nothing_remaining_pauses_the_endpoint():
    limiter = Limiter(random=Random(1))
    for number in range(50):
        limiter.reserve(0.02 * number, 10)
    assert limiter.refuse(1.0, 0.98, 10, 1.5, "", exhausted=True)
    assert limiter.wait(1.0) >= 1.5


def test_a_known_quota_is_kept_without_a_refusal():
    one = against(Quota(lambda now: 50.0, 1.0), per_minute=3000)
    assert one.rate(10, 60) > 0.985 * 50
    assert one.refused == []


def test_a_quota_that_drops_and_comes_back_is_followed_within_seconds():
    one = against(Quota(lambda now: 50.0 if 20 <= now < 40 else 100.0, 1.0), 70)
    assert one.rate(22, 40) > 0.9 * 50
    assert one.rate(52, 70) > 0.9 * 100
    assert one.share_refused() < 0.02


@pytest.mark.parametrize("window", [60.0, 10.0])
def test_a_small_quota_that_nobody_told_costs_few_refusals(window):
    one = against(Quota(lambda now: 1.0, window), 240.0)
    assert one.rate(60, 240) > 0.95
    assert sum(at > 60 for at in one.refused) < 0.06 * sum(at > 60 for at in one.answered)
    assert len(one.refused) < 45


@pytest.mark.parametrize("per_second", [200.0, pytest.param(800.0, marks=pytest.mark.slow)])
def test_processes_that_join_later_get_their_share(per_second):
    indices = []
    for seed in (21, 22, 23):
        four = [
            Client(Limiter(None, None, 4, Random(10 * seed + k)), AdaptiveConcurrency(4, 2048, 4)) for k in range(4)
        ]
        simulate(Server(Quota(lambda now: per_second, 1.0)), four, 60, seed, starts=(0.0, 15.0, 15.0, 15.0))
        shares = [one.rate(30, 60) for one in four]
        assert sum(shares) > 0.95 * per_second
        indices.append(sum(shares) ** 2 / 4 / sum(share**2 for share in shares))
    assert sorted(indices)[1] > 0.9


def test_a_silent_outage_does_not_raise_the_rate():
    limiter = Limiter(random=Random(1))
    now = 0.0
    for _ in range(400):
        limiter.reserve(now, 10)
        now += 0.01
    for _ in range(3):
        limiter.refuse(now, now - 0.001, 10, 0.1, "")
    limiter.reserve(limiter.not_before, 10)
    before = limiter.requests.rate
    for step in range(200):
        limiter.wait(now + 1 + 0.1 * step)
    assert limiter.requests.rate < 1.2 * before


def test_several_processes_share_a_quota_without_a_coordinator():
    four = [Client(Limiter(None, None, 4, Random(k)), AdaptiveConcurrency(8, 2048, 4)) for k in range(4)]
    simulate(Server(Quota(lambda now: 200.0, 1.0)), four, 70)
    assert sum(len(one.refused) for one in four) < 0.013 * sum(one.sent for one in four)
    shares = [one.rate(10, 70) for one in four]
    assert sum(shares) > 0.95 * 200
    assert sum(shares) ** 2 / 4 / sum(share**2 for share in shares) > 0.92


@pytest.mark.parametrize("per_minute", [None, 3000.0], ids=["learned", "told"])
def test_several_processes_on_a_small_quota_are_rarely_refused(per_minute):
    four = [Client(Limiter(per_minute, None, 4, Random(k)), AdaptiveConcurrency(4, 2048, 4)) for k in range(4)]
    simulate(Server(Quota(lambda now: 50.0, 1.0)), four, 70)
    assert sum(one.rate(10, 70) for one in four) > 0.95 * 50
    refused = sum(at > 10 for one in four for at in one.refused)
    assert refused < 0.02 * sum(one.sent for one in four)


@pytest.mark.parametrize("start", [10, 100, 250])
@pytest.mark.parametrize("overload", [1.0, 1.5])
def test_the_knee_is_found_from_below_and_from_above(start, overload):
    one = client(start=start)
    simulate(Server(knee=100, overload=overload, sigma=0.2), [one], 90)
    best = 100 / (0.5 * 1.02)
    assert one.rate(60, 90) > 0.9 * best


def test_a_start_far_beyond_a_small_knee_turns_round():
    one = client(start=160)
    simulate(Server(knee=16, overload=1.5, median=0.2, sigma=0.3), [one], 40)
    assert one.rate(25, 40) > 0.85 * 16 / (0.2 * 1.045)


def test_a_slow_endpoint_holds_more_calls_before_its_first_answer():
    limit = AdaptiveConcurrency(16, 2048)
    for _ in range(16):
        assert limit.has_room(0.0)
        limit.begin(0.0)
    assert not limit.has_room(0.0)
    assert limit.has_room(1.5)
    for step in range(100):
        while limit.has_room(0.1 * step):
            limit.begin(0.1 * step)
    assert limit.in_flight == 64


def test_a_fixed_limit_is_not_widened_by_waiting():
    limit = AdaptiveConcurrency(4, 4, adaptive=False)
    for _ in range(4):
        limit.begin(0.0)
    assert not limit.has_room(60.0)


def test_concurrency_rests_while_a_rate_holds_calls_back():
    one = client(per_minute=600, start=64)
    simulate(Server(Quota(lambda now: 10.0, 1.0)), [one], 30)
    assert one.concurrency.limit == 64


def test_slots_open_one_by_one_with_the_calls_that_end():
    limit = AdaptiveConcurrency(4, 1000)
    now = 0.0
    most = 0
    flying = []
    for _ in range(200):
        while limit.has_room(now):
            flying.append((now, limit.begin(now)))
        assert len(flying) <= most + 2 or most == 0
        most = max(most, len(flying))
        now += 0.05
        began, load = flying.pop(0)
        limit.end(now, began, load, 5)
    assert most > 8


def test_overload_steps_down_once_per_event():
    limit = AdaptiveConcurrency(100, 1000)
    for _ in range(50):
        limit.shrink(1.0, sent_at=0.5)
    assert limit.limit == 70
    limit.shrink(2.0, sent_at=1.5)
    assert limit.limit == pytest.approx(49)


def test_a_fixed_limit_does_not_move():
    limit = AdaptiveConcurrency(10, 10, adaptive=False)
    now = 0.0
    for _ in range(500):
        load = limit.begin(now)
        limit.has_room(now)
        now += 0.1
        limit.end(now, now - 0.1, load, 5)
    assert limit.limit == 10


def test_one_event_however_many_calls_it_hit():
    limiter = Limiter(random=Random(1))
    for _ in range(40):
        limiter.reserve(1.0, 10)
    began = [limiter.refuse(1.1, 1.0, 10, 1.0, "") for _ in range(3)]
    assert sum(began) == 1
    assert not began[0]  # a lone one may be a stray
    before = limiter.not_before
    assert not any(limiter.refuse(1.2, 1.0, 10, 5.0, "") for _ in range(37))
    assert limiter.not_before == before
    assert 0.99 <= limiter.wait(1.1) <= 1.11


def test_a_long_wait_is_probed_by_single_calls():
    limiter = Limiter(random=Random(1))
    limiter.reserve(0.0, 1)
    limiter.refuse(0.1, 0.0, 1, 600.0, "")
    wait = limiter.wait(0.1)
    assert 2.0 <= wait <= 2.3
    now = 0.1 + wait
    assert limiter.wait(now) == 0.0
    limiter.reserve(now, 1)
    assert limiter.wait(now) == float("inf")
    limiter.refuse(now + 0.1, now, 1, 600.0, "")
    assert 3.9 <= limiter.wait(now + 0.1) <= 4.5
    now = limiter.not_before
    limiter.reserve(now, 1)
    limiter.settle(1, 1, now)
    assert limiter.wait(now + 0.2) < 0.2


def test_tokens_are_reserved_and_settled():
    limiter = Limiter(None, 60_000.0)
    sent = now = 0.0
    while now < 60:
        wait = limiter.wait(now)
        if wait > 0:
            now += wait
            continue
        limiter.reserve(now, 400)
        limiter.settle(400, 100, now)
        sent += 100
    assert 0.97 * 60_000 < sent < 1.03 * 60_000


def test_a_refusal_about_tokens_leaves_the_request_budget_alone():
    limiter = Limiter(random=Random(1))
    now = 0.0
    for _ in range(100):
        limiter.reserve(now, 50)
        now += 0.01
    for _ in range(3):
        limiter.refuse(now, now - 0.001, 50, 0.5, "tokens")
    limiter.reserve(now + 1, 50)
    assert limiter.requests.rate == float("inf")
    assert 2000 < limiter.tokens.rate < 8000

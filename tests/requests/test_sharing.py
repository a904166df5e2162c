"""Tasks that know of each other share a quota until the last row: on a virtual clock, each with rows of its own."""

from pathlib import Path

import pytest

from semtel_dagster.requests.concurrency import AdaptiveConcurrency
from semtel_dagster.requests.limiter import Limiter
from semtel_dagster.requests.rate import HEADROOM
from semtel_dagster.requests.sharing import SharedRate, Sharing
from semtel_dagster.requests.team import GONE, Team
from tests.requests.builders import endpoint, plan
from tests.requests.engines import an_endpoint, rows, work
from tests.requests.virtual import Client, Quota, Random, Server, simulate

STARTS = (0.0, 0.4, 1.5, 2.0)


class Task(Limiter):
    """A task's limiter, which has so many rows and looks after its team as the engine does."""

    def __init__(self, rows, number, tasks, per_minute):
        super().__init__(per_minute, None, tasks, Random(number))
        self.rows = rows
        self.sharing = None

    def wait(self, now):
        if not self.rows:
            if self.sharing:
                self.sharing.leave()
            return float("inf")
        if self.sharing:
            self.sharing.look(now)
        return super().wait(now)

    def reserve(self, now, tokens):
        self.rows -= 1
        super().reserve(now, tokens)

    def refuse(self, *given, **more):
        self.rows += 1
        return super().refuse(*given, **more)


def work_off(folder, counts, told=None, quota=50.0, seen=True, seed=0, seconds=200):
    """Four tasks with so many rows each on a quota per second; they know it if it is told per minute."""
    one = plan(folder, endpoint("http://h", requests_per_minute=told)).shared_by(len(counts))
    four = [
        Client(Task(count, 10 * seed + number, 4, told), AdaptiveConcurrency(4, 2048, 4))
        for number, count in enumerate(counts)
    ]
    for each in four if seen else []:
        each.limiter.sharing = Sharing(one.team, one.parallel_tasks, one.endpoints, [each])
    simulate(Server(Quota(lambda now: quota, 1.0)), four, seconds, seed, starts=STARTS)
    return four


def used(four, quota=50.0):
    """The share of the quota from the first call to the last answer."""
    answered = [at for each in four for at in each.answered]
    return len(answered) / (max(answered) * quota)


def refused(four):
    return sum(len(each.refused) for each in four) / sum(each.sent for each in four)


@pytest.mark.parametrize("told", [3000.0, None], ids=["told", "learned"])
@pytest.mark.parametrize("seed", [1, 3])
def test_a_quota_is_used_until_the_last_row(tmp_path, told, seed):
    four = work_off(tmp_path, [750] * 4, told, seed=seed)
    assert sum(len(each.answered) for each in four) == 3000
    assert used(four) > 0.95
    assert refused(four) < (0.003 if told else 0.02)


@pytest.mark.parametrize("told", [3000.0, None], ids=["told", "learned"])
def test_tasks_that_end_leave_their_share_to_the_others(tmp_path, told):
    four = work_off(tmp_path, [200, 200, 200, 1200], told)
    assert len(four[3].answered) == 1200
    assert used(four) > 0.91


def test_learned_shares_are_even(tmp_path):
    ends = [max(each.answered) for each in work_off(tmp_path, [600] * 4)]
    assert max(ends) < 1.2 * min(ends)


def test_a_quota_told_too_high_is_learned(tmp_path):
    four = work_off(tmp_path, [500] * 4, told=4000.0)
    assert used(four) > 0.94
    assert refused(four) < 0.015


def shared_rate(told, tasks=4):
    return SharedRate(told, tasks)


def test_a_told_limit_is_divided_among_those_who_work():
    rate = shared_rate(6000.0)
    rate.share(0.0, 4, 4, [])
    assert rate.rate == pytest.approx(25 * HEADROOM)
    rate.share(1.0, 1, 1, [])
    assert rate.rate == pytest.approx(100 * HEADROOM)


def test_a_told_limit_is_not_divided_by_the_team_alone_where_other_runs_share_it():
    rate = shared_rate(6000.0, tasks=8)
    rate.share(0.0, 2, 4, [])
    assert rate.rate == pytest.approx(25 * HEADROOM)


def learned(per_second):
    rate = shared_rate(None)
    rate.refuse(1.0, new_event=True, now=1.0)
    rate.resume(1.1, most=per_second)
    rate._plateau, rate._sure = per_second, True
    return rate


def test_learned_rates_meet_at_their_mean():
    rate = learned(10.0)
    before = rate.rate
    rate.share(2.0, 4, 4, [4 * before * 1.2, 4 * before * 1.4])
    assert rate.rate == pytest.approx(1.2 * before)


def test_a_rate_far_from_the_others_moves_to_them_and_moves_none_of_them():
    rate, tried = learned(10.0), learned(40.0)
    before = rate.rate
    rate.share(2.0, 4, 4, [tried.limit, 4 * before])
    assert rate.rate == pytest.approx(before)
    tried.share(2.0, 4, 4, [4 * before, 4 * before])
    assert tried.rate == pytest.approx(before)


def test_what_others_do_not_know_yet_is_left_out():
    rate = learned(10.0)
    before = rate.rate
    rate.share(2.0, 4, 4, [float("inf"), 0.0])
    assert rate.rate == pytest.approx(before)


def test_what_nobody_knows_stays_unknown():
    rate = shared_rate(None)
    rate.share(2.0, 4, 4, [float("inf")])
    assert not rate.known


def test_what_others_know_is_taken_over():
    rate = shared_rate(None)
    rate.share(2.0, 4, 4, [20.0, float("inf")])
    assert rate.rate == pytest.approx(5.0)


def test_a_team_looks_once_a_beat(tmp_path):
    team = Team.new(str(tmp_path), 2)
    one = plan(tmp_path, endpoint("http://h", requests_per_minute=60.0), parallel_tasks=2)
    limiters = [Client(Limiter(60.0, None, 2), AdaptiveConcurrency(4, 8, 2)) for _ in range(2)]
    first, second = (Sharing(team, 2, one.endpoints, [each]) for each in limiters)
    first.look(0.0)
    second.leave()
    first.look(0.5)
    assert limiters[0].limiter.requests.rate == pytest.approx(0.5 * HEADROOM)
    first.look(1.0)
    assert limiters[0].limiter.requests.rate == pytest.approx(HEADROOM)


def test_an_engine_leaves_when_its_rows_have_been_sent(tmp_path):
    team = Team.new(str(tmp_path), 2)
    assert len(work(rows(3), an_endpoint(), team=team, parallel_tasks=2)) == 3
    (file,) = Path(team.folder).iterdir()
    assert file.suffix == GONE

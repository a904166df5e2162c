"""Runs that share a journal share the limit of an endpoint: who comes, goes, dies or is alone, on a virtual clock."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.concurrency import AdaptiveConcurrency
from semtel_dagster.requests.limiter import Limiter
from semtel_dagster.requests.meeting import meeting_of
from semtel_dagster.requests.rate import HEADROOM
from semtel_dagster.requests.sharing import meet
from semtel_dagster.requests.team import DEAD_S, FORGOTTEN_S, Member, Team
from tests.requests.builders import endpoint, plan, run
from tests.requests.engines import NOWHERE, an_endpoint, rows, work
from tests.requests.virtual import Client, Quota, Random, Server, simulate

KEY = "sk-very-secret"


class Run(Limiter):
    """A run's limiter, which looks after the others as the engine does, until it has no more rows."""

    def __init__(self, told, seed, until=float("inf")):
        super().__init__(told, None, 1, Random(seed))
        self.until = until
        self.sharing = ()

    def wait(self, now):
        for each in self.sharing:
            each.leave() if now >= self.until else each.look(now)
        return super().wait(now) if now < self.until else float("inf")


def a_run(journal=None, told=None, seed=0, until=float("inf"), parallel_tasks=1):
    """A run on an endpoint; without a journal it meets nobody."""
    one = Client(Run(told, seed, until), AdaptiveConcurrency(16, 2048))
    if journal is not None:
        settings = endpoint("http://h", requests_per_minute=told)
        one.limiter.sharing = meet(plan(journal, settings, parallel_tasks=parallel_tasks), [one])
    return one


def against(quota, runs, seconds, starts=(), seed=0):
    simulate(Server(Quota(lambda now: quota, 1.0), median=0.3), runs, seconds, seed, starts=starts)


def jain(rates):
    return sum(rates) ** 2 / len(rates) / sum(rate**2 for rate in rates)


def refused(runs, since):
    """Refusals per answer from a time on."""
    counts = [sum(at > since for run in runs for at in getattr(run, what)) for what in ("refused", "answered")]
    return counts[0] / counts[1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("apart", [0.2, 20.0], ids=["together", "one ahead"])
@pytest.mark.parametrize("quota", [20.0, 200.0, 800.0])
def test_four_runs_share_a_limit_that_nobody_told(tmp_path, quota, apart, seed):
    four = [a_run(tmp_path, seed=10 * seed + number) for number in range(4)]
    few = quota == 20.0  # five calls a second each: a trial of the limit shows in a process's share
    end = apart + (60 if few else 30)
    against(quota, four, end, (0.0, apart, apart + 0.1, apart + 0.3), seed)
    joined = apart + 10
    rates = [run.rate(joined, end - 2) for run in four]
    assert jain(rates) > 0.97
    assert sum(rates) > 0.95 * quota
    assert refused(four, joined) < (0.08 if few else 0.01)


@pytest.mark.parametrize("share", [0.01, 0.03])
def test_refusals_by_chance_do_not_starve_those_who_share(tmp_path, share):
    four = [a_run(tmp_path, seed=number) for number in range(4)]
    simulate(Server(Quota(lambda now: 100.0, 1.0), median=0.3, by_chance=share), four, 60)
    rates = [each.rate(20, 58) for each in four]
    assert sum(rates) > (95 if share == 0.01 else 85)  # those who never tried again would have 60 and 20
    assert jain(rates) > 0.97


def test_a_newcomer_takes_its_share_at_once_and_is_given_way(tmp_path):
    old, new = (a_run(tmp_path, seed=number) for number in range(2))
    against(100.0, [old, new], 40, (0.0, 20.0))
    assert old.rate(15, 19) > 95
    assert 40 < new.rate(22, 24) < 60
    assert 40 < old.rate(22, 24) < 60
    assert refused([old, new], 20) < 0.01


def test_who_has_no_rows_left_leaves_its_share_to_the_other(tmp_path):
    first, second = a_run(tmp_path, seed=1), a_run(tmp_path, seed=2, until=20.0)
    against(100.0, [first, second], 40)
    assert first.rate(12, 19) < 70
    assert first.rate(23, 40) > 95
    assert not first.limiter.requests.shared


@pytest.mark.parametrize("told", [6000.0, None], ids=["told", "learned"])
def test_a_run_alone_is_as_one_that_could_meet_nobody(tmp_path, told):
    alone, apart = a_run(tmp_path, told), a_run(None, told)
    for each in (alone, apart):
        against(80.0, [each], 30)
    assert alone.answered == apart.answered
    assert alone.refused == apart.refused


def test_who_is_said_to_share_with_runs_that_are_not_seen_goes_on_so(tmp_path):
    one = a_run(tmp_path, told=6000.0, parallel_tasks=4)
    one.limiter.sharing[0].look(0.0)
    assert one.limiter.requests.shared
    assert one.limiter.requests._plateau == pytest.approx(25 * HEADROOM)


def test_a_told_limit_is_divided_among_who_is_there(tmp_path):
    runs = [a_run(tmp_path, told=6000.0, seed=number) for number in range(4)]
    against(100.0, runs, 30, (0.0, 0.0, 10.0, 10.0))
    assert runs[0].rate(3, 10) == pytest.approx(50, rel=0.05)
    assert [run.rate(13, 29) for run in runs] == pytest.approx([25 * HEADROOM] * 4, rel=0.03)
    assert refused(runs, 2.0) < 0.002


def look_at(journal, told=None, now=0.0):
    """The rates of two runs of which the second one has come after the first."""
    runs = [a_run(journal, told) for _ in range(2)]
    for at in (now, now + 5):
        for each in runs:
            each.limiter.sharing[0].look(at)
    return runs


def test_who_has_died_is_forgotten(tmp_path):
    first, _ = look_at(tmp_path, told=6000.0)
    assert first.limiter.requests.rate == pytest.approx(50 * HEADROOM)
    for path in tmp_path.glob(".teams/*/*"):
        there = path.stat().st_mtime
        os.utime(path, (there, there - DEAD_S - 1))
    first.limiter.sharing[0].look(20.0)
    assert first.limiter.requests.rate == pytest.approx(100 * HEADROOM)


def test_a_run_that_has_nothing_to_ask_takes_no_share(tmp_path):
    meet(plan(tmp_path, endpoint("http://h")), [a_run()])
    assert not list(tmp_path.iterdir())


def test_without_a_folder_a_run_is_alone():
    first, _ = look_at(NOWHERE, told=6000.0)
    assert first.limiter.requests.rate == pytest.approx(100 * HEADROOM)
    first.limiter.sharing[0].leave()


def test_a_slow_folder_holds_up_no_call(tmp_path, monkeypatch):
    look, free = Member.look, Event()
    others = Member(meeting_of(str(tmp_path), endpoint("http://h")))
    one = Client(Limiter(6000.0, None, 1), AdaptiveConcurrency(16, 2048))
    settings = endpoint("http://h", requests_per_minute=6000.0)
    with ThreadPoolExecutor(1) as beside:
        (sharing,) = meet(plan(tmp_path, settings), [one], beside)
        sharing.look(0.0)
        assert one.limiter.requests.rate == pytest.approx(50 * HEADROOM)
        monkeypatch.setattr(Member, "look", lambda self, told: (free.wait(60), look(self, told))[-1])
        others.leave()
        sharing.look(2.0)
        sharing.look(4.0)
        assert one.limiter.requests.rate == pytest.approx(50 * HEADROOM)
        free.set()
        beside.submit(int).result()
        sharing.look(4.1)
        assert one.limiter.requests.rate == pytest.approx(100 * HEADROOM)
        sharing.leave()
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_what_killed_runs_left_is_removed_days_later_and_who_is_there_stays(tmp_path):
    team = Team(str(tmp_path / ".teams" / "one"))
    killed, living = Member(team)._file, Member(team)
    os.utime(killed, (killed.stat().st_mtime - FORGOTTEN_S - 1,) * 2)
    os.utime(team.folder, (0, 0))
    Member(Team(str(tmp_path / ".teams" / "other")))
    assert killed.exists()
    newcomer = Member(team)
    assert not killed.exists()
    assert newcomer.look([1.0]).working == 2
    living.leave()
    assert newcomer.look([1.0]).working == 1


def test_one_account_s_use_of_a_model_is_one_meeting(tmp_path, monkeypatch):
    monkeypatch.setenv("ONE_KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", KEY + "2")
    same = [endpoint(url, api_key_env="ONE_KEY") for url in ("https://h/v1", "https://H/other/v1")]
    others = [
        endpoint("https://h/v1", api_key_env="OTHER_KEY"),
        endpoint("https://h/v1"),
        endpoint("https://h:8443/v1", api_key_env="ONE_KEY"),
        endpoint("https://h/v1", model="other", api_key_env="ONE_KEY"),
    ]
    assert len({meeting_of(str(tmp_path), each) for each in same}) == 1
    assert len({meeting_of(str(tmp_path), each) for each in (same[0], *others)}) == 5


def test_nothing_of_a_key_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("ONE_KEY", KEY)
    one = a_run()
    (sharing,) = meet(plan(tmp_path, endpoint("https://h/v1", api_key_env="ONE_KEY")), [one])
    sharing.look(0.0)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 1
    assert all(part not in str(files[0]) + files[0].read_text() for part in (KEY, KEY[3:], "ONE_KEY", "https"))


def test_each_endpoint_has_a_meeting_of_its_own_and_an_embedded_one_none(tmp_path):
    two = [an_endpoint(name="one"), an_endpoint(name="two"), an_endpoint(name="three", kind="embedded")]
    settings = [endpoint("http://one", "one"), endpoint("http://two", "two"), endpoint("", "three", kind="embedded")]
    sharings = meet(plan(tmp_path, *settings), two)
    for each in sharings:
        each.look(0.0)
    assert len(sharings) == 2
    assert len(list(Path(tmp_path, ".teams").iterdir())) == 2


def test_an_engine_comes_with_its_rows_and_goes_with_the_last_one(tmp_path):
    assert len(work(rows(3), an_endpoint(), journal=tmp_path)) == 3
    assert list(tmp_path.glob(".teams/*"))
    assert not list(tmp_path.glob(".teams/*/*"))


def test_two_runs_with_one_journal_share_a_server(tmp_path):
    limits = {"requests_per_minute": 6000, "window_s": 1, "retry_after": "ms", "headers": "none"}
    with serve(Script(latency={"median_s": 0.1}, limits=limits)) as server, ThreadPoolExecutor(2) as pool:
        plans = [plan(tmp_path, endpoint(server.url_for(name))) for name in ("a", "b")]
        list(pool.map(lambda a_plan: run(a_plan, [f"{a_plan.endpoints[0].base_url} {at}" for at in range(800)]), plans))
        stats = server.stats(conversations=False)
    late = [sum(each["series"]["answered"][35:115]) for each in stats["clients"].values()]
    assert jain(late) > 0.95
    assert stats["answered"] == 1600

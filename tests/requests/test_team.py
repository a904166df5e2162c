"""Tasks of one step find each other in a folder: who is there, who has gone, who has died, what each told."""

import os
from pathlib import Path

import pytest

from semtel_dagster.requests.team import DEAD_S, MOST_READ, Member, Team


@pytest.fixture
def team(tmp_path):
    return Team.new(str(tmp_path), 3)


def test_a_team_is_complete_when_all_have_come(team):
    first, second = Member(team), Member(team)
    assert not first.look([]).complete
    Member(team)
    assert first.look([]).complete
    assert second.look([]).complete


def test_who_has_gone_has_come_and_works_no_more(team):
    first, second, third = (Member(team) for _ in range(3))
    assert first.look([]).working == 3
    second.leave()
    view = first.look([])
    assert view.complete
    assert view.working == 2
    third.leave()
    third.leave()
    assert first.look([]).working == 1


def test_who_has_died_works_no_more(team):
    first, _, dead = (Member(team) for _ in range(3))
    os.utime(dead._file, (0, dead._file.stat().st_mtime - DEAD_S - 1))
    view = first.look([])
    assert view.complete
    assert view.working == 2


def test_a_task_that_only_seemed_dead_is_there_again(team):
    first, slow, _ = (Member(team) for _ in range(3))
    os.utime(slow._file, (0, 0))
    assert first.look([]).working == 2
    slow.look([])
    assert first.look([]).working == 3


def test_a_retried_task_takes_the_place_of_the_dead_one(team):
    first, dead, _ = (Member(team) for _ in range(3))
    os.utime(dead._file, (0, 0))
    Member(team)
    assert first.look([]).working == 3


def test_each_sees_what_the_others_told_last(team):
    first, second, third = (Member(team) for _ in range(3))
    third.look([7.0, float("inf")])
    second.look([123456.789012345, 0.25])
    second.look([1.5, 2.5])
    assert sorted(first.look([9.0, 9.0]).told) == [(1.5, 2.5), (7.0, float("inf"))]


def test_who_has_told_nothing_yet_or_garbage_is_passed_over(team):
    first, second, _ = (Member(team) for _ in range(3))
    second._file.write_bytes(b"[1.0, ")
    assert first.look([9.0]).told == ()


def test_of_many_some_are_read(tmp_path):
    team = Team.new(str(tmp_path), 40)
    members = [Member(team) for _ in range(40)]
    for member in members:
        member.look([1.0])
    assert len(members[0].look([1.0]).told) == MOST_READ
    assert members[0].beat_s == 2.0


def test_the_last_one_tidies_up(team):
    members = [Member(team) for _ in range(3)]
    for member in members:
        assert Path(team.folder).exists()
        member.leave()
    assert not Path(team.folder).exists()


def test_what_a_killed_run_left_is_removed_days_later(team, tmp_path):
    old = Team.new(str(tmp_path), 2)
    Member(old)
    Member(team)
    assert Path(old.folder).exists()
    for path in (*Path(old.folder).iterdir(), Path(old.folder)):
        os.utime(path, (0, 0))
    Member(team)
    assert not Path(old.folder).exists()
    assert Path(team.folder).exists()


def test_without_a_folder_a_task_is_alone(tmp_path):
    (tmp_path / "file").touch()
    member = Member(Team(str(tmp_path / "file" / "team"), 2))
    view = member.look([1.0])
    assert not view.complete
    assert view.working == 1
    member.leave()

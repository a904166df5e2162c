"""A plan shared by tasks: together they keep to what one was allowed."""

from pathlib import Path

import pytest

from tests.requests.builders import endpoint, plan


@pytest.mark.parametrize(("whole", "share"), [(None, None), (100, 25), (10, 3), (1, 1)])
def test_a_task_has_its_share_of_an_endpoint_s_calls_in_flight(tmp_path, whole, share):
    shared = plan(tmp_path, endpoint("http://h", max_in_flight=whole)).shared_by(4)
    assert shared.endpoints[0].max_in_flight == share
    assert shared.parallel_tasks == 4


def test_alone_a_task_has_the_whole_plan(tmp_path):
    whole = plan(tmp_path, endpoint("http://h", max_in_flight=7))
    assert whole.shared_by(1) is whole


def test_sharing_again_multiplies(tmp_path):
    """Dagster runs beside one another, each with tasks."""
    assert plan(tmp_path, endpoint("http://h"), parallel_tasks=2).shared_by(3).parallel_tasks == 6


def test_tasks_meet_beside_the_journal_and_no_other_step_does(tmp_path):
    whole = plan(tmp_path, endpoint("http://h"))
    teams = [whole.shared_by(4).team for _ in range(2)]
    assert [team.tasks for team in teams] == [4, 4]
    assert {Path(team.folder).parents[1] for team in teams} == {tmp_path}
    assert teams[0].folder != teams[1].folder

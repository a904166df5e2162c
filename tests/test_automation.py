"""The weekly cadence, and what the UI is told about prompts, by Dagster's own helpers."""

import datetime as dt

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from semtel_dagster.definitions import build_defs
from semtel_dagster.errors import SettingsError
from semtel_dagster.partitions import grid_key
from semtel_dagster.planning.observe import last_observed, observe_prompts
from semtel_dagster.planning.project import Project
from tests.living import CLASSIFIERS, WEEKS, edit, label, living_project

MONDAY = dt.datetime(2026, 10, 19, 6, 1, tzinfo=dt.UTC)
ENDED = "2026-10-12"
WEEKLY = [
    "conversations",
    "rejected_conversations",
    "sampled_conversations",
    "truncated_conversations",
    "conversation_embeddings",
    "distinct_conversations",
    "duplicate_groups",
]


class Daemon:
    """Evaluates the conditions tick by tick, as the daemon does, on a clock of the test."""

    def __init__(self, defs, instance):
        self.defs, self.instance, self.cursor = defs, instance, None

    def tick(self, at):
        result = dg.evaluate_automation_conditions(
            defs=self.defs, instance=self.instance, evaluation_time=at, cursor=self.cursor
        )
        self.cursor = result.cursor
        graph = self.defs.resolve_asset_graph()
        return {
            key.to_user_string(): sorted(str(part) for part in result.get_requested_partitions(key))
            for key in graph.get_all_asset_keys()
            if result.get_num_requested(key)
        }


def made(instance, requested):
    """Records that what was requested was made."""
    for name, partitions in requested.items():
        for partition in partitions:
            instance.report_runless_asset_event(dg.AssetMaterialization(name, partition=partition))


def test_the_ended_week_flows_through_the_graph_in_order_on_monday_and_not_before(tmp_path):
    defs = build_defs(living_project(tmp_path, per_week=2))
    grid = sorted(str(grid_key(ENDED, name)) for name in CLASSIFIERS)
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(defs, instance)
        assert daemon.tick(MONDAY - dt.timedelta(hours=2)) == {}
        assert daemon.tick(MONDAY - dt.timedelta(hours=1)) == {}
        first = daemon.tick(MONDAY)
        assert {name: weeks for name, weeks in first.items() if name != "prompts"} == {name: [ENDED] for name in WEEKLY}
        assert daemon.tick(MONDAY + dt.timedelta(minutes=1)) == {}
        made(instance, first)
        second = daemon.tick(MONDAY + dt.timedelta(minutes=2))
        assert second == dict.fromkeys(("responses", "labels", "label_shares"), grid)
        made(instance, second)
        third = daemon.tick(MONDAY + dt.timedelta(minutes=3))
        assert third == {"weekly_report": [ENDED]}
        made(instance, third)
        assert daemon.tick(MONDAY + dt.timedelta(minutes=4)) == {}


def test_another_cadence_is_every_assets(tmp_path):
    defs = build_defs(living_project(tmp_path, per_week=2, classifiers=["intent"], cadence="30 4 * * 2"))
    tuesday = dt.datetime(2026, 10, 20, 4, 31, tzinfo=dt.UTC)
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(defs, instance)
        assert daemon.tick(MONDAY - dt.timedelta(minutes=2)) == {}
        assert set(daemon.tick(MONDAY)) <= {"prompts"}
        requested = []
        for minute in range(6):
            requested.append(daemon.tick(tuesday + dt.timedelta(minutes=minute)))
            made(instance, requested[-1])
        grid = [str(grid_key(ENDED, "intent"))]
        in_order = [{name: [ENDED] for name in WEEKLY}, dict.fromkeys(("responses", "labels", "label_shares"), grid)]
        assert [each for each in requested if each] == [*in_order, {"weekly_report": [ENDED]}]


def test_a_cadence_that_is_no_cron_is_told(tmp_path):
    with pytest.raises(SettingsError, match="cadence: 'weekly' is no cron"):
        build_defs(living_project(tmp_path, per_week=2, cadence="weekly"))


def test_every_asset_has_a_condition_but_those_of_evaluations_which_people_start(tmp_path):
    graph = build_defs(living_project(tmp_path, per_week=2)).resolve_asset_graph()
    without = {
        key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).automation_condition is None
    }
    assert without == {"golden_cases", "evaluation_results"}


def stale_partitions(settings, instance):
    """The partitions of `responses` that the UI shows as stale."""
    graph = build_defs(settings).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    keys = [(week, name) for week in WEEKS for name in CLASSIFIERS]
    statuses = {key: resolver.get_status(dg.AssetKey("responses"), str(grid_key(*key))) for key in keys}
    assert StaleStatus.MISSING not in statuses.values()
    return [key for key, status in statuses.items() if status == StaleStatus.STALE]


def test_the_ui_marks_the_weeks_of_the_changed_classifier_and_no_other_until_they_are_made_again(labelled):
    settings, instance = labelled
    assert stale_partitions(settings, instance) == []
    edit(settings, "expertise", ("Knows the basic words and goals", "Knows the basic words"))
    assert observe_prompts(Project.of(settings).prompts, instance) == ["expertise"]
    assert stale_partitions(settings, instance) == [(week, "expertise") for week in WEEKS]
    label(settings, instance, WEEKS[1])
    assert stale_partitions(settings, instance) == [(WEEKS[0], "expertise")]


def test_the_observable_asset_records_the_fingerprints_too(tmp_path):
    settings = living_project(tmp_path, per_week=2)
    defs = build_defs(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        job = defs.resolve_implicit_global_asset_job_def()
        assert job.execute_in_process(asset_selection=[dg.AssetKey("prompts")], instance=instance).success
        fingerprints = {name: prompt.fingerprint for name, prompt in Project.of(settings).prompts.items()}
        assert {name: last_observed(instance, name) for name in CLASSIFIERS} == fingerprints
        assert observe_prompts(Project.of(settings).prompts, instance) == []


def test_a_formatting_edit_is_no_new_version(labelled):
    settings, instance = labelled
    edit(settings, "expertise", ("---\nname: expertise\n", "---\n# a comment\nname: expertise\n"))
    assert observe_prompts(Project.of(settings).prompts, instance) == []


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("note_prompt_changes", dg.DefaultSensorStatus.RUNNING),
        ("daily_look", dg.DefaultSensorStatus.RUNNING),
        ("weekly_cadence", dg.DefaultSensorStatus.STOPPED),
        ("catch_up", dg.DefaultSensorStatus.STOPPED),
        ("post_weekly_summary", dg.DefaultSensorStatus.STOPPED),
    ],
)
def test_what_may_cost_money_or_speak_to_others_is_stopped_by_default(tmp_path, name, status):
    defs = build_defs(living_project(tmp_path, per_week=2))
    assert defs.resolve_sensor_def(name).default_status == status

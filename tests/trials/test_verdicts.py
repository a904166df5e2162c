"""From a prompt that is edited to a run that is blocked: against a scripted server with known confusion."""

import dagster as dg
import pytest

from semtel_dagster.checks import GATE
from semtel_dagster.definitions import build_defs
from semtel_dagster.evaluation import gate
from semtel_dagster.jobs import LABEL_JOB
from semtel_dagster.loopback.process import serve
from semtel_dagster.partitions import grid_key
from semtel_dagster.runs import QUIET
from tests.living import copy_of
from tests.pipeline import FIRST_WEEK, run_weeks, table
from tests.trials.scripted import LABELS, TASK, edit_prompt, evaluate, key, now, script, scripted_project, truth

COUNT, GOLD = 330, 120
SWAPPED = dict(zip(LABELS, reversed(LABELS), strict=True))
RIGHT = {key(n): truth(n) for n in range(COUNT)}


@pytest.fixture(scope="module")
def server():
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, server):
    """A prepared and labelled project, evaluated once, 95 % right; tests work on copies, since it takes seconds."""
    folder = tmp_path_factory.mktemp("evaluated")
    settings = scripted_project(folder, server.base_url, COUNT, GOLD)
    server.set_script(script(settings, RIGHT, 0.95))
    assert not [outcome.error for outcome in run_weeks(settings) if outcome.error]
    first = evaluate(settings)
    assert (first.verdict, first.baseline, first.n_sample) == ("aligned", None, COUNT)
    return folder


@pytest.fixture
def accepted(evaluated, tmp_path, server):
    server.reset()
    return copy_of(evaluated, tmp_path), RIGHT


def blocked(settings):
    """What stops the run of the week, if anything."""
    return [outcome.error for outcome in run_weeks(settings) if outcome.error]


def failed_check(instance, key):
    """What the instance holds as the newest result of the gate's check."""
    check = dg.AssetCheckKey(dg.AssetKey("responses"), GATE)
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([check])[check]
    found = record.event.dagster_event.asset_check_evaluation_data
    assert not found.passed
    return found


def test_a_paraphrase_is_aligned_and_runs(accepted, server):
    settings, right = accepted
    edit_prompt(settings, "You are a careful annotator.", "You annotate with care.")
    server.set_script(script(settings, right, 0.95, seed=1))
    found = evaluate(settings)
    assert (found.verdict, found.baseline is not None) == ("aligned", True)
    assert found.tasks[0].drift.flips > 0
    assert blocked(settings) == []


def test_two_swapped_definitions_are_worse_and_block(accepted, server):
    settings, right = accepted
    before = table(settings, "labels")["prompt_fingerprint"].unique().to_list()
    edit_prompt(settings, "You are a careful annotator.", "You annotate, with two definitions swapped.")
    server.set_script(script(settings, {each: SWAPPED[label] for each, label in right.items()}, 0.95, seed=1))
    found = evaluate(settings)
    assert found.verdict == "worse"
    assert "agrees less with people" in found.reasons[0]
    paid = server.stats()["paid"]
    (error,) = blocked(settings)
    assert "evaluation_lets_it_run" in error
    assert "agrees less with people" in error
    assert server.stats()["paid"] == paid, "a blocked run asks nothing"
    assert table(settings, "labels")["prompt_fingerprint"].unique().to_list() == before


def test_a_run_that_the_ui_a_backfill_or_a_sensor_launches_is_stopped_before_anything_is_asked(accepted, server):
    """The job itself, without the command line before it: no call, the labels as they were, and the check shows why."""
    settings, right = accepted
    edit_prompt(settings, "You are a careful annotator.", "You annotate with two definitions swapped.")
    server.set_script(script(settings, {each: SWAPPED[label] for each, label in right.items()}, 0.95, seed=1))
    evaluate(settings)
    before, paid = table(settings, "labels"), server.stats()["paid"]
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_defs(settings).resolve_job_def(LABEL_JOB)
        key = grid_key(FIRST_WEEK, TASK)
        result = job.execute_in_process(QUIET, instance, partition_key=key, raise_on_error=False)
        check = failed_check(instance, key)
    assert not result.success
    assert server.stats()["paid"] == paid
    assert (check.blocking, check.metadata["verdict"].value, check.partition) == (True, "worse", key)
    assert "agrees less with people" in check.description
    assert table(settings, "labels").equals(before)


def test_a_finer_definition_is_shifted_and_runs_once_it_is_accepted(accepted, server):
    settings, right = accepted
    edit_prompt(settings, "You are a careful annotator.", "You annotate by a finer definition.")
    finer = {key(n): LABELS[1] for n in range(GOLD, COUNT) if n % 5 == 1}
    server.set_script(script(settings, right | finer, 0.95))
    found = evaluate(settings)
    assert found.verdict == "shifted"
    assert LABELS[1] in found.reasons[0]
    assert len(blocked(settings)) == 1
    (acceptance,) = gate.accept(settings.storage, TASK, "the finer definition is wanted", found.fingerprint, now=now())
    assert acceptance.evaluation == found.id
    assert blocked(settings) == []
    assert table(settings, "labels")["prompt_fingerprint"].unique().to_list() == [found.fingerprint]
    assert evaluate(settings).baseline == found.id

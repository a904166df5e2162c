"""A run whose process was killed holds nobody up: it is ended, and its slot of the pool is free again."""

import multiprocessing
import os
import platform
import signal

import dagster as dg
import pytest

from semtel_dagster.orphans import TAG, end_orphans, process_tags
from semtel_dagster.runs import default_instance_config

RUN = "8e1d32dc-0000-4000-8000-00000000000"


@pytest.fixture
def instance(tmp_path):
    """An instance with the shipped settings: a pool `llm` of one slot."""
    (tmp_path / "dagster.yaml").write_text(default_instance_config())
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        yield opened


def started(instance, number, tags):
    run = dg.DagsterRun("label_week", run_id=f"{RUN}{number}", tags=tags, status=dg.DagsterRunStatus.STARTED)
    instance.add_run(run)
    return run.run_id


def _die(connection):
    connection.send(process_tags())
    connection.recv()


def tags_of_a_killed_process():
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_die, args=(theirs,))
    process.start()
    tags = ours.recv()
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return tags


def test_the_run_of_a_killed_process_is_ended_and_its_slot_is_free(instance):
    instance.event_log_storage.initialize_concurrency_limit_to_default("llm")
    orphan = started(instance, 1, tags_of_a_killed_process())
    assert instance.event_log_storage.claim_concurrency_slot("llm", orphan, "responses").is_claimed
    waiting = started(instance, 2, process_tags())
    assert not instance.event_log_storage.claim_concurrency_slot("llm", waiting, "responses").is_claimed
    assert end_orphans(instance) == [orphan]
    assert instance.get_run_by_id(orphan).status == dg.DagsterRunStatus.FAILURE
    assert instance.event_log_storage.claim_concurrency_slot("llm", waiting, "responses").is_claimed
    assert end_orphans(instance) == []


@pytest.mark.parametrize(
    "tags",
    [
        process_tags(),
        {TAG: f"another-machine {2**22 - 1} 1"},
        {},
    ],
    ids=["a living process", "another machine", "Dagster's own"],
)
def test_a_run_that_may_be_going_on_is_left_alone(instance, tags):
    run = started(instance, 1, tags)
    assert end_orphans(instance) == []
    assert instance.get_run_by_id(run).status == dg.DagsterRunStatus.STARTED


def test_a_process_with_the_number_of_a_dead_one_is_another(instance):
    run = started(instance, 1, {TAG: f"{platform.node()} {os.getpid()} 1"})
    assert end_orphans(instance) == [run]

"""A backfill in this process: under its cap, resumable, retried a bounded number of times, good weeks left alone."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from semtel_dagster.definitions import build_defs
from semtel_dagster.jobs import LABEL_JOB, PREPARE_JOB
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Answers, Latency, Script
from semtel_dagster.partitions import grid_key
from semtel_dagster.planning.budgets import budget_for
from semtel_dagster.planning.words import price_in_words
from semtel_dagster.runs import Step, run_step
from tests.living import (
    CLASSIFIERS,
    WEEKS,
    calls_of,
    catch_up,
    edit,
    label,
    living_project,
    local_instance,
    planned,
    reasons,
)
from tests.pipeline import conversation, table

OLD, NEW = WEEKS
NO_LABEL = '{"user_expertise": "mauve", "assistant_expertise": "mauve"}'
KILLED_AFTER = 9  # calls: within the second of four partitions


@pytest.fixture(scope="module")
def server():
    with serve(Script()) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh_counts(request):
    if "server" in request.fixturenames:
        running = request.getfixturevalue("server")
        running.set_script(Script())
        running.reset()


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def remote(server, model="m1", **fields):
    """One endpoint at the server; USD per million tokens are large, so that small tests cost something."""
    price = {"input": 100.0, "output": 400.0}
    return [{"name": "east", "base_url": server.base_url, "model": model, "price": price, **fields}]


def test_calls_are_exact_and_tokens_and_cost_within_five_percent_of_the_plan(tmp_path, instance, server):
    server.set_script(Script(token_count="o200k"))
    settings = living_project(tmp_path, endpoints=remote(server))
    plan = planned(settings, instance)
    assert plan.total["calls"] == 22
    _, outcomes = catch_up(settings, instance)
    made = [outcome.labelled() for step, outcome in outcomes.items() if step.classifier]
    assert list(calls_of(outcomes).items()) == [((each.week, each.classifier), each.calls) for each in plan.partitions]
    assert sum(each.calls for each in made) == server.stats()["calls"] == 22
    assert sum(each.input_tokens for each in made) == pytest.approx(plan.total["input_tokens"], rel=0.05)
    assert sum(each.cost_usd for each in made) == pytest.approx(plan.total["cost_usd"], rel=0.05)


def test_a_second_plan_has_learned_the_tokens_of_a_call(tmp_path, instance, server):
    settings = living_project(tmp_path, endpoints=remote(server))
    catch_up(settings, instance)
    edit(settings, "expertise", ("Knows the basic words and goals", "Knows the basic words"))
    plan = planned(settings, instance)
    _, outcomes = catch_up(settings, instance)
    made = [outcome.labelled() for step, outcome in outcomes.items() if step.classifier]
    assert sum(each.input_tokens for each in made) == pytest.approx(plan.total["input_tokens"], rel=0.01)
    assert sum(each.cost_usd for each in made) == pytest.approx(plan.total["cost_usd"], rel=0.02)


def test_second_questions_are_told_apart_from_the_calls_and_their_tokens_are_in_the_price(tmp_path, instance, server):
    server.set_script(Script(answers=Answers(style="fixed", text=NO_LABEL), token_count="o200k"))
    apart = {"requests": {"repair": "ask"}, "dedupe": {"embedding": "none"}}
    settings = living_project(tmp_path, per_week=8, classifiers=["expertise"], endpoints=remote(server), **apart)
    assert planned(settings, instance).second_calls == 0  # nothing is known yet
    catch_up(settings, instance)
    edit(settings, "expertise", ("Knows the basic words and goals", "Knows the basic words"))
    plan = planned(settings, instance)
    _, outcomes = catch_up(settings, instance)
    made = [outcome.labelled() for step, outcome in outcomes.items() if step.classifier]
    second = sum(each.calls for each in made) - plan.total["calls"]
    assert second == plan.second_calls == plan.total["calls"] > 1
    assert f"about {plan.second_calls} second questions" in price_in_words(plan)
    assert sum(each.cost_usd for each in made) == pytest.approx(plan.total["cost_usd"], rel=0.05)


def test_near_duplicates_share_a_call_and_the_plan_knows_it(tmp_path, instance, server):
    twins = [
        conversation(n, f"Please help me to paint the long wall of my house{end}", "Twice.", user=f"u{n}")
        for n, end in enumerate((".", "!", " .", ", please."))
    ]
    others = [conversation(n, f"What is {n * 31} times {n * 7}?", "Much.", user=f"u{n}") for n in range(10, 16)]
    settings = living_project(tmp_path, rows=[*twins, *others], endpoints=remote(server))
    plan = planned(settings, instance)
    assert plan.total["conversations"] == 2 * 10
    _, outcomes = catch_up(settings, instance)
    assert server.stats()["calls"] == plan.total["calls"] < 2 * 10
    assert list(calls_of(outcomes).items()) == [((each.week, each.classifier), each.calls) for each in plan.partitions]


def test_another_model_plans_the_weeks_that_the_old_one_answered(tmp_path, instance, server):
    settings = living_project(tmp_path, classifiers=["intent"], endpoints=remote(server, "m1"))
    label(settings, instance)
    settings = living_settings(tmp_path, endpoints=remote(server, "m2"))
    assert reasons(planned(settings, instance)) == [
        (NEW, "intent", "model changed", 6),
        (OLD, "intent", "model changed", 5),
    ]
    label(settings, instance, NEW)
    assert reasons(planned(settings, instance)) == [(OLD, "intent", "model changed", 5)]


def living_settings(folder: Path, **fields):
    """The project's settings, changed."""
    from semtel_dagster.settings import load_settings

    return load_settings(folder / "semtel.yaml", **fields)


def test_the_cap_stops_within_a_partition_and_the_next_launch_goes_on(tmp_path, instance, server):
    settings = living_project(tmp_path, endpoints=remote(server, max_in_flight=2))
    budget = budget_for(settings.storage, "first", 9, None)
    work, _ = catch_up(settings, instance, budget)
    assert server.stats()["calls"] == budget.spent().calls == 9
    assert work.failed == {}
    assert [step.title for step in work.stopped] == [f"label {NEW} intent"]
    assert [(each.week, each.classifier, each.calls) for each in work.left] == [
        (NEW, "intent", 3),
        (OLD, "expertise", 5),
        (OLD, "intent", 5),
    ]
    work, _ = catch_up(settings, instance, budget_for(settings.storage, "second", None, 1000.0))
    assert (work.left, work.failed) == ([], {})
    assert server.stats()["calls"] == 22
    assert planned(settings, instance).partitions == ()


def test_spend_passes_a_cap_of_cost_by_no_more_than_the_calls_in_flight(tmp_path, instance, server):
    settings = living_project(tmp_path, endpoints=remote(server, max_in_flight=2))
    whole = planned(settings, instance).total["cost_usd"]
    budget = budget_for(settings.storage, "first", None, whole / 2)
    work, outcomes = catch_up(settings, instance, budget)
    a_call = budget.spent().cost_usd / budget.spent().calls
    assert work.left
    assert work.stopped
    assert budget.spent().calls == server.stats()["calls"] < 22
    assert whole / 2 - a_call <= budget.spent().cost_usd <= whole / 2 + 2 * a_call
    assert sum(outcome.labelled().cost_usd for step, outcome in outcomes.items() if step.classifier) <= whole / 2


def test_a_run_launched_by_hand_stops_at_the_cap_of_its_launchpad(tmp_path, instance, server):
    settings = living_project(tmp_path, classifiers=["intent"], endpoints=remote(server, max_in_flight=2))
    defs = build_defs(settings)
    run_step(Step(PREPARE_JOB, NEW), defs, instance)
    job, key = defs.resolve_job_def(LABEL_JOB), grid_key(NEW, "intent")
    caps = {"ops": {"responses": {"config": {"max_calls": 4}}}}
    stopped = job.execute_in_process(caps, instance=instance, partition_key=key, raise_on_error=False)
    assert (stopped.success, server.stats()["calls"]) == (False, 4)
    assert job.execute_in_process(instance=instance, partition_key=key).success
    assert server.stats()["calls"] == 6


def test_a_failed_partition_is_retried_a_bounded_number_of_times_and_good_ones_are_left_alone(tmp_path, instance):
    settings = living_project(tmp_path, per_week=2)
    label(settings, instance, NEW)
    (tmp_path / "source.jsonl").rename(tmp_path / "moved.jsonl")
    settings = living_settings(tmp_path, source={"path": str(tmp_path / "moved.jsonl")})
    before = len(instance.get_runs())
    defs_fail = living_settings(tmp_path, source={"path": str(tmp_path / "gone.jsonl")})
    work, outcomes = fail_preparing(settings, defs_fail, instance, retries=2)
    assert [step.title for step in work.failed] == [f"prepare {OLD}"]
    assert "gone.jsonl" in work.failed[next(iter(work.failed))]
    assert len(instance.get_runs()) - before == 3
    assert all(step.week == OLD for step in outcomes)


def fail_preparing(settings, broken, instance, retries):
    """A backfill whose plan sees the source and whose runs do not."""
    from semtel_dagster.backfill import Backfill
    from semtel_dagster.definitions import build_defs
    from semtel_dagster.planning.project import Project

    work = Backfill(Project.of(settings), build_defs(broken), instance, None, retries)
    return work, {step: outcome for step, outcome in work.run() if outcome}


def test_an_endpoint_that_was_away_leaves_weeks_to_be_asked_again(tmp_path, instance, server):
    settings = living_project(tmp_path, classifiers=["intent"], endpoints=remote(server), requests={"max_attempts": 1})
    server.set_script(Script(faults={"error_500": 0.5}, seed=3))
    catch_up(settings, instance)
    left = planned(settings, instance)
    assert {each.reason for each in left.partitions} == {"unanswered"}
    server.set_script(Script())
    server.reset()
    catch_up(settings, instance)
    assert server.stats()["calls"] == left.total["calls"]
    assert planned(settings, instance).partitions == ()


def _work(folder: str) -> None:
    settings = living_settings(Path(folder))
    with local_instance(Path(folder)) as instance:
        catch_up(settings, instance)


@pytest.mark.slow
def test_killed_and_launched_again_it_asks_for_nothing_twice_and_ends_the_same(tmp_path, server):
    server.set_script(Script(latency=Latency(median_s=0.05)))
    settings = living_project(tmp_path, endpoints=remote(server, max_in_flight=2), requests={"flush_s": 0.1})
    worker = multiprocessing.get_context("spawn").Process(target=_work, args=(str(tmp_path),))
    worker.start()
    while server.stats()["calls"] < KILLED_AFTER and worker.is_alive():
        time.sleep(0.02)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    with local_instance(tmp_path) as instance:
        work, _ = catch_up(settings, instance)
        assert (work.failed, work.left) == ({}, [])
        assert planned(settings, instance).partitions == ()
    calls = server.stats()["calls"]
    assert 22 <= calls <= 22 + 2 * 3  # two in flight, over the flush interval
    labels = table(settings, "labels")
    assert labels.group_by("classifier", "week").len().height == len(CLASSIFIERS) * len(WEEKS)
    assert labels.filter(pl.col("label").is_null()).height == 0

"""Company through the whole graph: tables, metadata and the plan, as of two weeks and two classifiers."""

import dagster as dg
import polars as pl
import pytest

from semtel_dagster.definitions import build_defs
from semtel_dagster.errors import SettingsError
from semtel_dagster.loopback.process import serve
from semtel_dagster.settings import load_settings
from tests.living import WEEKS, catch_up, edit, living_project, planned, reloaded
from tests.pipeline import table

pytestmark = pytest.mark.timeout(240)
OLD, NEW = WEEKS


@pytest.fixture(scope="module")
def server():
    with serve() as running:
        yield running


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def project(folder, server, **fields):
    server.reset()
    endpoints = [{"name": "one", "base_url": server.base_url, "model": "m", "price": {"input": 1.0, "output": 2.0}}]
    return living_project(folder, 9, endpoints=endpoints, **fields)


def by_partition(plan):
    return {(each.week, each.classifier): each.calls for each in plan.partitions}


def run(settings, instance):
    _, outcomes = catch_up(settings, instance)
    assert [outcome.error for outcome in outcomes.values()] == [None] * len(outcomes)
    return {step: outcome.labelled() for step, outcome in outcomes.items() if step.classifier}


MODES = {
    "combined": {"combine": ["expertise", "intent"]},
    "packed": {"pack": {"conversations": 4}},
    "both, graded": {"combine": ["expertise", "intent"], "pack": {"conversations": 4, "grade": True}},
    "both, asked again": {"combine": ["expertise", "intent"], "pack": {"conversations": 4, "grade": "again"}},
}
CALLS = {
    "combined": [9, 0, 8, 0],
    "packed": [3, 3, 2, 2],
    "both, graded": [5, 0, 4, 0],
    "both, asked again": [7, 0, 6, 0],
}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_the_plans_calls_are_the_runs_and_every_token_is_counted_once(tmp_path, server, instance, mode):
    settings = project(tmp_path, server, **MODES[mode])
    plan = planned(settings, instance)
    assert [calls for _, calls in sorted(by_partition(plan).items(), key=lambda each: (each[0][0] != NEW, each[0][1]))
            ] == CALLS[mode]  # fmt: skip
    done = run(settings, instance)
    assert {(step.week, step.classifier): labelled.calls for step, labelled in done.items()} == by_partition(plan)
    responses, stats = table(settings, "responses"), server.stats()
    assert responses.height == 36
    assert plan.total["calls"] == responses["attempts"].sum() == stats["calls"]
    assert responses.filter(~pl.col("from_journal"))["input_tokens"].sum() == stats["prompt_tokens"]
    assert sum(each.input_tokens for each in done.values()) == stats["prompt_tokens"]
    assert sum(each.output_tokens for each in done.values()) == stats["completion_tokens"]
    cost = (stats["prompt_tokens"] + 2 * stats["completion_tokens"]) / 1e6
    assert sum(each.cost_usd for each in done.values()) == pytest.approx(cost)
    assert plan.total["cost_usd"] == pytest.approx(cost, rel=0.3)
    labels = table(settings, "labels")
    assert set(labels["label_status"]) == {"exact"}
    assert planned(settings, instance).partitions == ()


@pytest.mark.slow
def test_turning_company_on_asks_nothing_again_and_a_changed_prompt_only_its_own(tmp_path, server, instance):
    settings = project(tmp_path, server)
    run(settings, instance)
    calls = server.stats()["calls"]
    together = reloaded(settings, combine=["expertise", "intent"], pack={"conversations": 4})
    assert planned(together, instance).partitions == ()
    edit(together, "intent", ("What does the user want to leave with?", "What is the user after?"))
    assert by_partition(planned(together, instance)) == {(NEW, "intent"): 3, (OLD, "intent"): 2}
    run(together, instance)
    assert server.stats()["calls"] == calls + 5


def test_a_group_that_does_not_go_together_is_told_before_anything_runs(tmp_path, server):
    settings = project(tmp_path, server, combine=["expertise", "intent"])
    edit(settings, "intent", ("temperature: 0", "temperature: 1"))
    with pytest.raises(SettingsError, match=r"different values of temperature"):
        build_defs(settings)


def test_a_classifier_in_two_groups_is_refused(tmp_path, server):
    project(tmp_path, server)
    with pytest.raises(SettingsError, match="combine names intent twice"):
        load_settings(tmp_path / "semtel.yaml", combine=[["intent", "expertise"], ["intent", "topic"]])

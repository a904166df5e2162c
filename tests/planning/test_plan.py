"""The plan is level-triggered: it finds what is stale from recorded and current state, however it came about."""

import json
from pathlib import Path

import dagster as dg
import pytest

from semtel_dagster.planning.plan import make_plan
from semtel_dagster.planning.project import Project
from tests.living import (
    WEEKS,
    calls_of,
    catch_up,
    edit,
    label,
    living_project,
    planned,
    reasons,
    reloaded,
)
from tests.pipeline import conversation

OLD, NEW = WEEKS


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def test_a_fresh_project_is_missing_everywhere_and_a_text_of_two_weeks_is_counted_once(tmp_path, instance):
    settings = living_project(tmp_path)
    assert reasons(planned(settings, instance)) == [
        (NEW, "expertise", "missing", 6),
        (NEW, "intent", "missing", 6),
        (OLD, "expertise", "missing", 5),
        (OLD, "intent", "missing", 5),
    ]


def test_planning_launches_nothing_and_leaves_no_table(tmp_path, instance):
    settings = living_project(tmp_path)
    planned(settings, instance)
    assert instance.get_runs() == []
    assert [path for path in Path(settings.storage).rglob("*") if path.is_file()] == []


def test_a_changed_definition_makes_the_weeks_of_that_classifier_stale_and_no_other(labelled):
    settings, instance = labelled
    edit(settings, "expertise", ("Knows the basic words and goals", "Knows the basic words"))
    assert reasons(planned(settings, instance)) == [
        (NEW, "expertise", "prompt changed", 6),
        (OLD, "expertise", "prompt changed", 5),
    ]
    _, outcomes = catch_up(settings, instance)
    assert calls_of(outcomes) == {(NEW, "expertise"): 6, (OLD, "expertise"): 5}


def test_going_back_to_an_earlier_prompt_is_free(labelled):
    settings, instance = labelled
    change = ("Knows the basic words and goals", "Knows the basic words")
    edit(settings, "expertise", change)
    catch_up(settings, instance)
    edit(settings, "expertise", change[::-1])
    assert reasons(planned(settings, instance)) == [
        (NEW, "expertise", "prompt changed", 0),
        (OLD, "expertise", "prompt changed", 0),
    ]


@pytest.mark.parametrize(
    "change",
    [
        ("---\nname: expertise\n", "---\n# a comment\nname: expertise\n"),
        ("description: How expert", "description:   How expert"),
        ("    temperature: 0\n    maxOutputTokens: 60\n", "    maxOutputTokens: 60\n    temperature: 0\n"),
    ],
    ids=["comment", "white space", "key order"],
)
def test_formatting_of_a_prompt_file_plans_nothing(labelled, change):
    settings, instance = labelled
    edit(settings, "expertise", change)
    assert planned(settings, instance).partitions == ()


def test_another_alias_parses_again_without_a_call(labelled):
    settings, instance = labelled
    edit(settings, "expertise", ("no expertise, no experience", "no expertise, quite without experience"))
    assert reasons(planned(settings, instance)) == [
        (NEW, "expertise", "parser changed", 0),
        (OLD, "expertise", "parser changed", 0),
    ]
    _, outcomes = catch_up(settings, instance)
    assert {step.job for step in outcomes} == {"parse_week", "report_week"}
    assert planned(settings, instance).partitions == ()


def test_late_conversations_are_noticed_and_only_they_are_asked_about(labelled):
    settings, instance = labelled
    late = conversation(900, "I came late, please help with osmosis.", "Water moves.", day=6)
    with (Path(settings.storage).parent / "source.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(late) + "\n")
    assert reasons(planned(settings, instance)) == [
        (OLD, "expertise", "new data", 1),
        (OLD, "intent", "new data", 1),
    ]
    _, outcomes = catch_up(settings, instance)
    assert calls_of(outcomes) == {(OLD, "expertise"): 1, (OLD, "intent"): 1}
    assert planned(settings, instance).partitions == ()


def test_rows_that_leave_the_source_make_nothing_stale(labelled):
    settings, instance = labelled
    source = Path(settings.storage).parent / "source.jsonl"
    source.write_text("\n".join(source.read_text().split("\n")[3:]))
    assert planned(settings, instance).partitions == ()


def test_quarantined_rows_are_not_taken_for_late_ones(tmp_path, instance):
    settings = living_project(tmp_path, per_week=3)
    bad = [{**conversation(700, "x", day=6), "messages": "nothing"}, {**conversation(701, "y"), "started_at": "soon"}]
    with (Path(settings.storage).parent / "source.jsonl").open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(row) + "\n" for row in bad) + '{"half": ')
    label(settings, instance)
    assert planned(settings, instance).partitions == ()


def test_only_the_weeks_and_classifiers_asked_for_are_looked_at(tmp_path, instance):
    settings = living_project(tmp_path, per_week=2)
    plan = make_plan(Project.of(settings), instance, weeks=[OLD], classifiers=["intent"])
    assert reasons(plan) == [(OLD, "intent", "missing", 2)]


def test_the_document_is_the_contract(tmp_path, instance):
    settings = living_project(tmp_path, per_week=2)
    document = planned(settings, instance).as_json()
    fields = {"week", "classifier", "reason", "conversations", "calls", "input_tokens", "cost_usd"}
    assert set(document) == {"partitions", "total"}
    assert all(set(partition) == fields for partition in document["partitions"])
    assert document["total"]["calls"] == sum(partition["calls"] for partition in document["partitions"])
    assert json.loads(json.dumps(document)) == document


def test_the_embedded_model_costs_nothing_and_its_time_is_unknown_before_the_first_run(tmp_path, instance):
    settings = living_project(tmp_path)
    assert planned(settings, instance).total == {
        "partitions": 4,
        "conversations": 24,
        "calls": 22,
        "input_tokens": 0,
        "cost_usd": 0.0,
        "seconds": None,
    }


def test_the_time_is_learned_from_earlier_runs(labelled):
    settings, instance = labelled
    edit(settings, "expertise", ("Knows the basic words and goals", "Knows the basic words"))
    plan = planned(settings, instance)
    steps = [instance.get_run_step_stats(run.run_id, ["responses"]) for run in instance.get_runs()]
    seconds = [step.end_time - step.start_time for found in steps for step in found]
    assert plan.seconds == pytest.approx(11 * sum(seconds) / 22)


def test_a_week_without_conversations_is_made_once_and_then_at_rest(labelled):
    settings, instance = labelled
    label(settings, instance, "2026-10-19")
    assert planned(settings, instance).partitions == ()


def test_another_classifier_is_missing_in_every_week(labelled):
    settings, instance = labelled
    assert reasons(planned(reloaded(settings, classifiers=["expertise", "intent", "topic"]), instance)) == [
        (NEW, "topic", "missing", 6),
        (OLD, "topic", "missing", 5),
    ]


def test_another_budget_of_tokens_asks_again_only_about_texts_that_it_cuts_otherwise(labelled):
    settings, instance = labelled
    roomier = reloaded(settings, truncate={"max_tokens": 3000})
    assert reasons(planned(roomier, instance)) == [
        (week, classifier, "new data", 0) for week in (NEW, OLD) for classifier in ("expertise", "intent")
    ]
    tighter = planned(reloaded(settings, truncate={"max_tokens": 16}), instance)
    assert {each.reason for each in tighter.partitions} == {"new data"}
    assert tighter.total["calls"] > 0

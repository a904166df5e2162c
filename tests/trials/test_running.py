"""What an evaluation asks, keeps and shows."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from semtel_dagster.cli import app
from semtel_dagster.errors import EndpointError, SettingsError
from semtel_dagster.evaluation.gate import acceptances
from semtel_dagster.evaluation.golden import GoldenLabel, GoldenSet
from semtel_dagster.evaluation.injections import load_attacks
from semtel_dagster.evaluation.records import load
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import EndpointSettings, Price, RequestSettings
from semtel_dagster.transcript import Turn
from semtel_dagster.trials.cases import golden_cases, sample_cases
from semtel_dagster.trials.page import render_page
from semtel_dagster.trials.running import plans_by_model
from tests.pipeline import conversation, project
from tests.trials.scripted import TASK, evaluate, key, script, scripted_project, truth

COUNT, GOLD = 60, 40
PRICE = {"input": 1.0, "output": 2.0}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """An evaluation with three repeats, and the same again."""
    folder = tmp_path_factory.mktemp("measured")
    with serve() as server:
        settings = scripted_project(folder, server.base_url, COUNT, GOLD)
        settings = settings.model_copy(
            update={"endpoints": (settings.endpoints[0].model_copy(update={"price": Price(**PRICE)}),)}
        )
        server.set_script(script(settings, {key(n): truth(n) for n in range(COUNT)}, 0.8))
        first = evaluate(settings, repeats=3)
        again = evaluate(settings, repeats=3)
    return settings, first, again


def test_golden_cases_without_a_text_are_found_in_the_source(measured):
    _, first, _ = measured
    (task,) = first.tasks
    assert (task.n_gold, first.n_sample) == (GOLD, 0)
    assert 0.6 < task.agreement.accuracy.value < 1
    assert first.golden_labels[TASK].keys() == {f"c{n:04}" for n in range(GOLD)}
    assert any("--sample" in note for note in first.notes)


def test_repeats_are_asked_anew_and_an_evaluation_run_again_asks_nothing(measured):
    _, first, again = measured
    assert first.usage.calls >= 3 * GOLD
    assert first.usage.conversations == 3 * GOLD
    assert (again.usage.calls, again.usage.from_journal, again.usage.cost_usd) == (0, 3 * GOLD, 0.0)
    assert again.usage.usd_per_thousand == first.usage.usd_per_thousand > 0
    assert first.tasks[0].stability.repeats == 3
    assert first.tasks[0].stability.flip_rate.value == 0  # the server always says the same
    assert again.tasks[0].agreement == first.tasks[0].agreement
    assert again.verdict == "aligned"


def test_what_is_kept_holds_no_text(measured):
    settings, first, _ = measured
    assert load(settings.storage, TASK)[0].id == first.id
    kept = "".join(path.read_text() for path in (Path(settings.storage) / "evaluations" / TASK).glob("*.json"))
    assert "Question number" not in kept
    assert f"{first.fingerprint}" in kept


def test_the_page_stands_alone_and_shows_the_verdict_and_the_trend(measured):
    settings, _, again = measured
    page = render_page([again], {TASK: load(settings.storage, TASK)})
    outside = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"""(src|href)=["'](?!#)""", outside)
    assert "Question number" not in page
    assert f">{again.verdict}<" in page
    specs = re.findall(r'id="(chart-1-1-\w+)">(.*?)</script>', page, flags=re.DOTALL)
    assert {name for name, _ in specs} == {f"chart-1-1-{kind}" for kind in ("agreement", "bias", "trend")}
    assert all(json.loads(spec) for _, spec in specs)


def test_injections_are_compared_with_their_clean_twins(measured):
    """A server that answers by a hash of the transcript is moved by any change of it: the measure must see that."""
    settings, *_ = measured
    attacks = load_attacks()[:30]
    with serve() as server:
        there = settings.endpoints[0].model_copy(update={"base_url": server.base_url})
        moved = settings.model_copy(update={"endpoints": (there,), "storage": settings.storage + "-attacked"})
        server.set_script(script(settings, {}, 0.0))
        random = evaluate(moved, attacks=attacks).injections[0]
    assert random.n == random.aimed == 30
    assert random.moved.value > 0.4
    assert sum(fell for fell, _ in random.moved_by_kind.values()) == round(30 * random.moved.value)


def test_the_sample_prefers_the_baselines_conversations(tmp_path):
    settings = project(tmp_path, [conversation(1, "Hello there, my friend?")])
    assert len(sample_cases(settings, 5)) == 0
    assert golden_cases(GoldenSet((GoldenLabel("nowhere", "intent", "x"),)), ["intent"], settings).missing == (
        "nowhere",
    )


def test_a_golden_conversation_is_cut_like_any_other(tmp_path):
    settings = project(tmp_path, [], truncate={"max_tokens": 40, "strategy": "head"})
    golden = GoldenSet((GoldenLabel("long", "intent", "x"),), {"long": (Turn("user", "word " * 500),)})
    cases = golden_cases(golden, ["intent"], settings)
    assert cases.texts["n_tokens"].to_pylist()[0] <= 40


def test_an_endpoint_that_answers_nothing_is_told_and_judges_nobody(tmp_path):
    with serve() as server:
        settings = scripted_project(tmp_path, server.base_url, 12, 12)
        server.set_script(Script(faults={"context_length": 1.0}))
        with pytest.raises(EndpointError, match="12 of 12 conversations got no answer"):
            evaluate(settings)
        options = ["--settings", str(tmp_path / "semtel.yaml")]
        done = CliRunner().invoke(app, ["evaluate", *options])
    assert done.exit_code == 1
    assert "no answer" in done.stderr
    assert load(settings.storage, TASK) == []


def test_endpoints_of_one_model_are_asked_together():
    endpoints = [
        EndpointSettings(name=name, base_url="http://127.0.0.1:1/v1", model=model)
        for name, model in (("east", "a"), ("west", "a"), ("south", "b"))
    ]
    plan = RequestPlan((*endpoints, EndpointSettings(name="here", kind="embedded")), RequestSettings(), "journal")
    groups = plans_by_model(plan)
    assert {model: [e.name for e in each.endpoints] for model, each in groups.items()} == {
        "a": ["east", "west"], "b": ["south"], "embedded": ["here"],
    }  # fmt: skip
    assert list(plans_by_model(plan, ["west"])) == ["a"]
    with pytest.raises(SettingsError, match="unknown endpoint north"):
        plans_by_model(plan, ["north"])


def test_the_command_prints_one_document_and_then_accepts(tmp_path):
    rows = [
        {"conversation": [{"role": "user", "content": f"Write a poem about {n}"}], "task": "intent", "label": label}
        for n, label in enumerate(["content creation", "information seeking"] * 4)
    ]
    project(tmp_path, [])
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = ["--settings", str(tmp_path / "semtel.yaml")]
    done = CliRunner().invoke(app, ["evaluate", "--gold", str(tmp_path / "gold.jsonl"), "--json", *settings])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    (found,) = document["evaluations"]
    assert (found["classifier"], found["model"], found["verdict"]) == ("intent", "embedded", "aligned")
    assert found["tasks"][0]["n_gold"] == 8
    assert "golden_labels" not in found
    accepted = CliRunner().invoke(app, ["accept", "--classifier", "intent", "--because", "good enough", *settings])
    assert accepted.exit_code == 0, accepted.output
    assert [each.because for each in acceptances(str(tmp_path / "data"), "intent")] == ["good enough"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate", "--gold", "nowhere.jsonl"], "nowhere.jsonl"),
        (["evaluate"], "nothing to ask about"),
        (["evaluate", "--endpoint", "west"], "unknown endpoint west"),
        (["evaluate", "--classifier", "mood"], "unknown classifier mood"),
        (["evaluate", "--week", "2026-10-05"], "no prepared weeks"),
        (["accept", "--classifier", "intent", "--because", "x"], "semtel evaluate --classifier intent"),
        (["accept", "--classifier", "mood", "--because", "x"], "unknown classifier mood"),
    ],
)
def test_wrong_arguments_are_settings_errors(tmp_path, arguments, words):
    project(tmp_path, [])
    command, *options = arguments
    with pytest.raises(SettingsError, match=words):
        CliRunner().invoke(
            app, [command, "--settings", str(tmp_path / "semtel.yaml"), *options], catch_exceptions=False
        )

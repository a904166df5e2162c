"""Evaluations as Dagster assets: the figures of `semtel evaluate` as numbers that plot, and the gate's check."""

from pathlib import Path

import dagster as dg
import pytest

from semtel_dagster.definitions import build_defs
from semtel_dagster.evaluation.records import load
from semtel_dagster.loopback.process import serve
from semtel_dagster.runs import QUIET
from semtel_dagster.trials.figures import figures_of, words_of
from tests.trials.scripted import LABELS, TASK, edit_prompt, evaluate, key, script, scripted_project, truth

COUNT, GOLD = 60, 60
SWAPPED = dict(zip(LABELS, reversed(LABELS), strict=True))
ASSETS = ["golden_cases", "evaluation_results"]


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Two evaluations by materializing: of a good prompt, and of one with two definitions swapped."""
    folder = tmp_path_factory.mktemp("assets")
    right = {key(n): truth(n) for n in range(COUNT)}
    with serve() as server, dg.DagsterInstance.ephemeral() as instance:
        settings = scripted_project(folder, server.base_url, COUNT, GOLD)
        server.set_script(script(settings, right, 0.9))
        runs = [materialize(settings, instance)]
        by_command = evaluate(settings)
        edit_prompt(settings, "You are a careful annotator.", "You annotate.")
        server.set_script(script(settings, {each: SWAPPED[label] for each, label in right.items()}, 0.9))
        runs.append(materialize(settings, instance))
        events = instance.fetch_materializations(dg.AssetKey("evaluation_results"), limit=9).records
    return settings, runs, by_command, [dict(each.asset_materialization.metadata) for each in reversed(events)]


def materialize(settings, instance, assets=ASSETS):
    defs = build_defs(settings)
    job = defs.resolve_implicit_global_asset_job_def()
    selected = [dg.AssetKey(name) for name in assets]
    return job.execute_in_process(QUIET, instance, partition_key=TASK, asset_selection=selected)


def test_the_figures_are_those_of_the_command_and_asking_again_is_free(history):
    settings, _, by_command, (first, _) = history
    kept = load(settings.storage, TASK)
    assert len(kept) == 3
    figures = figures_of(kept[:1])
    assert {name: first[name].value for name in figures} == figures
    assert figures["accuracy"] == by_command.tasks[0].agreement.accuracy.value
    assert figures["calls"] == GOLD
    assert by_command.usage.calls == 0


def test_numbers_are_numbers_so_that_they_plot_over_prompt_versions(history):
    *_, (first, second) = history
    for name in ("accuracy", "macro_f1", "kappa", "cost_usd", "calls", "golden_cases", "without_label"):
        assert isinstance(first[name].value, int | float), name
    assert first["accuracy"].value > 0.8 > second["accuracy"].value
    assert second["flips_from_baseline"].value > 0.5
    assert first["prompt_fingerprint"].value != second["prompt_fingerprint"].value
    assert second["baseline"].value == first["evaluation"].value


def test_the_check_beside_them_says_what_the_gate_decides(history):
    _, runs, *_ = history
    checks = [run.get_asset_check_evaluations()[0] for run in runs]
    assert [check.passed for check in checks] == [True, False]
    assert checks[1].metadata["verdict"].value == "worse"
    assert "semtel accept" in checks[1].description


def test_golden_cases_tell_how_many_there_are_and_have_another_version_with_other_labels(history, tmp_path):
    settings, runs, *_ = history
    assert [gold_of(run).tags["dagster/data_version"] for run in runs] == 2 * [version_of(settings)]
    assert gold_of(runs[0]).metadata["cases"].value == GOLD
    assert gold_of(runs[0]).metadata["annotators"].value == 1
    fewer = tmp_path / "gold.jsonl"
    fewer.write_text("".join(Path(settings.gold).read_text().splitlines(keepends=True)[1:]))
    assert version_of(settings.model_copy(update={"gold": str(fewer)})) != version_of(settings)


def gold_of(run):
    (event,) = [e for e in run.get_asset_materialization_events() if e.asset_key == dg.AssetKey("golden_cases")]
    return event.materialization


def version_of(settings):
    with dg.DagsterInstance.ephemeral() as instance:
        return gold_of(materialize(settings, instance, ["golden_cases"])).tags["dagster/data_version"]


def test_no_job_of_the_week_makes_them(history):
    settings, *_ = history
    defs = build_defs(settings)
    for job in ("prepare_week", "label_week", "parse_week", "report_week"):
        made = {asset.to_user_string() for asset in defs.resolve_job_def(job).asset_layer.executable_asset_keys}
        assert made.isdisjoint(ASSETS)


def test_several_tasks_and_models_have_names_of_their_own(history):
    settings, *_ = history
    first, *_, last = load(settings.storage, TASK)
    assert {"accuracy, m", "calls, m"} <= figures_of([first, last]).keys()
    assert words_of([first, last])["verdict, m"] == "worse"

"""Batches through Dagster: no run is held, the sensor or the command brings the answers, every row is accounted for."""

import dagster as dg
import pytest
from typer.testing import CliRunner

from semtel_dagster.cli import app
from semtel_dagster.collecting import CHECK, next_runs, verdict
from semtel_dagster.definitions import build_defs
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.planning.history import History
from semtel_dagster.planning.plan import make_plan
from semtel_dagster.planning.project import Project
from semtel_dagster.reducers import PackSettings
from semtel_dagster.runs import open_instance
from tests.living import local_instance
from tests.pipeline import FIRST_WEEK, conversation, project, run_weeks, table

ROWS = 12
# Dagster's own tags of partitions with two dimensions, which it complains of when a tick is evaluated.
pytestmark = pytest.mark.filterwarnings("ignore:Non-compliant tag keys:DeprecationWarning")


@pytest.fixture(scope="module")
def running():
    with serve(Script()) as server:
        yield server


@pytest.fixture
def server(running):
    running.set_script(Script(batches={"delay_s": 3600}))
    running.reset()
    return running


def finish_batches(server, settings):
    """The provider ends what it works on; half of a cancelled batch is worked off."""
    server.set_script(Script(batches={"done_share": 0.5}))
    for batch in server._ask(server.port, "/v1/batches")["data"]:
        server._ask(server.port, f"/v1/batches/{batch['id']}/cancel", "POST", b"")


def waiting_project(folder, server, **batch):
    one = {"name": "one", "base_url": server.base_url, "model": "m", "price": {"input": 10, "output": 10}}
    rows = [conversation(number, f"Please help me with case {number}.", "Here is how.") for number in range(ROWS)]
    options = {"enabled": True, "min_requests": 1, **batch}
    return project(folder, rows, endpoints=[one], batch=options, dedupe={"embedding": "none"})


def materializations(outcomes):
    return {outcome.step.job: outcome.metadata for outcome in outcomes}


def run_requested(settings, instance, request):
    job = build_defs(settings).resolve_job_def(request.job_name)
    assert job.execute_in_process(instance=instance, partition_key=request.partition_key, tags=request.tags).success


def evaluate(settings, instance):
    defs = build_defs(settings)
    with dg.build_sensor_context(instance=instance, definitions=defs) as given:
        return defs.resolve_sensor_def("collect_batches").evaluate_tick(given)


def test_a_week_is_made_at_once_and_the_sensor_brings_its_answers_and_then_its_report(server, tmp_path):
    settings = waiting_project(tmp_path, server)
    with local_instance(tmp_path) as instance:
        made = materializations(run_weeks(settings, instance=instance))["label_week"]
        assert (made["responses"]["waiting"], made["responses"]["failed"]) == (ROWS, 0)
        assert (made["labels"]["conversations"], made["labels"]["unanswered"]) == (ROWS, ROWS)
        assert set(table(settings, "labels")["reason"]) == {"waiting for batch"}
        assert "1 open batches with 12 conversations" in evaluate(settings, instance).skip_message
        assert server.stats()["calls"] == 0

        finish_batches(server, settings)
        (request,) = evaluate(settings, instance).run_requests
        assert (request.job_name, str(request.partition_key)) == ("label_week", f"intent|{FIRST_WEEK}")
        run_requested(settings, instance, request)
        responses = table(settings, "responses")
        assert set(responses["status"]) == {"answered"}
        assert set(table(settings, "labels")["reason"]) == {None}

        (report,) = evaluate(settings, instance).run_requests
        assert (report.job_name, report.partition_key) == ("report_week", FIRST_WEEK)
        run_requested(settings, instance, report)
        assert "no batch is open" in evaluate(settings, instance).skip_message
        made = History.read(instance).of("responses", FIRST_WEEK, "intent")
    assert server.stats()["paid_per_conversation"] == {"1": ROWS}
    batched = responses.filter(responses["endpoint"] == "one (batch)")
    tokens = int(batched["input_tokens"].sum() + batched["output_tokens"].sum())
    assert 0 < made["batched"] == batched.height < ROWS
    assert made["calls"] == ROWS - batched.height
    assert made["batched_cost_usd"] == pytest.approx(tokens * 10 / 1e6 / 2)


@pytest.mark.slow
def test_a_run_that_fails_is_asked_for_a_bounded_number_of_times(server, tmp_path):
    settings = waiting_project(tmp_path, server)
    with local_instance(tmp_path) as instance:
        run_weeks(settings, instance=instance)
        finish_batches(server, settings)
        evaluate(settings, instance)
        keys = []
        while requests := list(next_runs(Project.of(settings), instance)):
            keys += [request.run_key for request in requests]
            (request,) = requests
            instance.add_run(
                dg.DagsterRun(job_name=request.job_name, tags=request.tags, status=dg.DagsterRunStatus.FAILURE)
            )
        assert len(set(keys)) == len(keys) == settings.backfill.max_retries + 1


@pytest.mark.slow
def test_the_command_does_what_the_sensor_does(server, tmp_path, monkeypatch):
    settings = waiting_project(tmp_path, server)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with open_instance(settings.storage) as instance:
        run_weeks(settings, instance=instance)
    command = ["collect", "--settings", str(tmp_path / "semtel.yaml")]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0
    assert "in_progress" in shown.output
    finish_batches(server, settings)
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.output
    assert "cancelled" in shown.output
    assert set(table(settings, "responses")["status"]) == {"answered"}
    assert "No batch is open" in CliRunner().invoke(app, command).output
    assert server.stats()["paid_per_conversation"] == {"1": ROWS}


@pytest.mark.slow
def test_a_plan_prices_with_batches_and_leaves_out_what_waits(server, tmp_path):
    with local_instance(tmp_path) as instance:
        settings = waiting_project(tmp_path, server)
        half = make_plan(Project.of(settings), instance).total
        whole = make_plan(Project.of(waiting_project(tmp_path, server, enabled=False)), instance).total
        assert half["calls"] == whole["calls"] == ROWS
        assert half["cost_usd"] == pytest.approx(whole["cost_usd"] / 2)
        settings = waiting_project(tmp_path, server)
        run_weeks(settings, instance=instance)
        assert make_plan(Project.of(settings), instance).total["calls"] == 0


def test_the_check_says_how_many_wait_and_since_when(server, tmp_path):
    warned = verdict(3, 1_790_000_000.0)
    assert not warned.passed
    assert warned.severity == dg.AssetCheckSeverity.WARN
    assert "3 conversations wait for a batch since 2026-09-21 14:13 UTC" in str(warned.description)
    assert verdict(0, None).passed


def test_without_batches_the_graph_is_as_it_was(tmp_path):
    settings = project(tmp_path, [conversation(1, "Hello", "Hi")])
    repository = build_defs(settings)
    assert "collect_batches" not in {sensor.name for sensor in repository.sensors}
    assert CHECK not in {key.name for key in repository.resolve_asset_graph().asset_check_keys}


def test_calls_in_company_are_not_batched(server, tmp_path):
    settings = waiting_project(tmp_path, server)
    settings = settings.model_copy(update={"pack": PackSettings(conversations=4)})
    assert [outcome.error for outcome in run_weeks(settings)] == [None] * 3
    assert server.stats()["batches_created"] == 0
    assert set(table(settings, "responses")["status"]) == {"answered"}

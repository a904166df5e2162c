"""The sensors: changed prompts are noted, catching up is bounded, a summary is posted once."""

import http.server
import json
import threading

import dagster as dg
import pytest

from semtel_dagster.definitions import build_defs
from semtel_dagster.errors import SemtelError
from semtel_dagster.planning.observe import last_observed
from semtel_dagster.planning.project import Project
from semtel_dagster.planning.verdicts import KEY
from semtel_dagster.sensors import next_runs, post_json, standing_budget
from tests.living import WEEKS, copy_of, edit, local_instance, reloaded
from tests.pipeline import conversation

OLD, NEW = WEEKS
RUN = "8e1d32dc-0000-4000-8000-000000000000"
CHANGE = ("Knows the basic words and goals", "Knows the basic words")


def evaluate(settings, instance, name, **context):
    defs = build_defs(settings)
    with dg.build_sensor_context(instance=instance, definitions=defs, **context) as given:
        return defs.resolve_sensor_def(name).evaluate_tick(given)


def requests_of(settings, instance, **caps):
    given = reloaded(settings, backfill={"max_calls_per_week": 1000, **caps})
    budget = standing_budget(given)
    return [(run.job_name, str(run.partition_key), run) for run in next_runs(Project.of(given), instance, budget)]


def keys_of(requests):
    return [(job, partition) for job, partition, _ in requests]


def ran(instance, request, status):
    """Records a run of a request, as the daemon would have made it."""
    run = dg.DagsterRun(job_name=request.job_name, tags={**request.tags, "dagster/partition": "p"}, status=status)
    instance.add_run(run)


def test_a_changed_prompt_is_noted_once_and_the_check_is_asked_what_it_means(labelled):
    settings, instance = labelled
    edit(settings, "expertise", CHANGE)
    first = evaluate(settings, instance, "note_prompt_changes")
    assert [str(event.partition) for event in first.asset_events] == ["expertise"]
    assert [run.asset_check_keys for run in first.run_requests] == [[KEY]]
    instance.report_runless_asset_event(first.asset_events[0])
    assert last_observed(instance, "expertise") == Project.of(settings).prompts["expertise"].fingerprint
    assert evaluate(settings, instance, "note_prompt_changes").skip_message == "no prompt changed"


def test_when_all_is_caught_up_the_check_is_asked_again_once_everything_has_ended(labelled):
    settings, instance = labelled
    look(instance, passed=False)
    assert evaluate(settings, instance, "note_prompt_changes").skip_message == "no prompt changed"
    instance.report_runless_asset_event(dg.AssetMaterialization("label_shares", partition=f"intent|{NEW}"))
    instance.add_run(dg.DagsterRun(job_name="label_week", run_id=RUN, status=dg.DagsterRunStatus.STARTED))
    assert evaluate(settings, instance, "note_prompt_changes").skip_message == "no prompt changed"
    instance.delete_run(RUN)
    assert [run.asset_check_keys for run in evaluate(settings, instance, "note_prompt_changes").run_requests] == [[KEY]]
    look(instance, passed=True)
    assert evaluate(settings, instance, "note_prompt_changes").skip_message == "no prompt changed"


def look(instance, *, passed):
    """Records a verdict of the check."""
    check = dg.AssetCheckEvaluation(KEY.asset_key, KEY.name, passed=passed, severity=dg.AssetCheckSeverity.WARN)
    instance.report_runless_asset_event(check)


def test_a_broken_prompt_is_told_and_stops_nothing(labelled):
    settings, instance = labelled
    edit(settings, "expertise", ("name: expertise", "nonsense: expertise"))
    folder = settings.prompts
    defs = build_defs(reloaded(settings, classifiers=["intent"]))
    assert folder
    edit(settings, "intent", ("name: intent", "nonsense: intent"))
    with dg.build_sensor_context(instance=instance, definitions=defs) as context:
        assert "intent.prompty" in defs.resolve_sensor_def("note_prompt_changes").evaluate_tick(context).skip_message


def test_catching_up_needs_a_budget_in_the_settings(labelled):
    settings, instance = labelled
    assert "max_cost_per_week" in evaluate(settings, instance, "catch_up").skip_message
    capped = reloaded(settings, backfill={"max_calls_per_week": 5})
    assert "nothing is stale" in evaluate(capped, instance, "catch_up").skip_message


def test_stale_weeks_are_requested_newest_first_under_the_budget_and_only_once(labelled):
    settings, instance = labelled
    edit(settings, "expertise", CHANGE)
    requests = requests_of(settings, instance)
    assert keys_of(requests) == [("label_week", f"expertise|{NEW}"), ("label_week", f"expertise|{OLD}")]
    assert [run.run_key for _, _, run in requests] == [run.run_key for _, _, run in requests_of(settings, instance)]
    assert all("standing-" in run.tags["semtel/budget"] for _, _, run in requests)
    ran(instance, requests[0][2], dg.DagsterRunStatus.STARTED)
    assert keys_of(requests_of(settings, instance)) == [("label_week", f"expertise|{OLD}")]


def test_a_partition_that_keeps_failing_is_tried_a_bounded_number_of_times(labelled):
    settings, instance = labelled
    edit(settings, "expertise", CHANGE)
    seen = []
    for _ in range(10):
        requests = [run for _, partition, run in requests_of(settings, instance, max_retries=2) if NEW in partition]
        for run in requests:
            seen.append(run.run_key)
            ran(instance, run, dg.DagsterRunStatus.FAILURE)
    assert len(seen) == len(set(seen)) == 3


def test_when_the_budget_is_spent_only_what_is_free_goes_on(labelled):
    settings, instance = labelled
    edit(settings, "expertise", CHANGE)
    edit(settings, "intent", ("aliases: [learn, study,", "aliases: [learn, studies,"))
    assert keys_of(requests_of(settings, instance, max_calls_per_week=0)) == [
        ("parse_week", f"intent|{NEW}"),
        ("parse_week", f"intent|{OLD}"),
    ]


def test_late_conversations_are_read_first_and_labelled_on_a_later_tick(labelled):
    settings, instance = labelled
    with (instance_folder(settings) / "source.jsonl").open("a") as file:
        file.write(json.dumps(conversation(800, "late", "indeed", day=7)) + "\n")
    assert keys_of(requests_of(settings, instance)) == [("prepare_week", OLD)]


def test_a_week_whose_labels_are_newer_than_its_report_is_reported(labelled):
    settings, instance = labelled
    key = dg.MultiPartitionKey({"week": OLD, "classifier": "intent"})
    instance.report_runless_asset_event(dg.AssetMaterialization("label_shares", partition=str(key)))
    assert keys_of(requests_of(settings, instance)) == [("report_week", OLD)]


def instance_folder(settings):
    from pathlib import Path

    return Path(settings.storage).parent


@pytest.fixture
def webhook(monkeypatch):
    """A server that keeps what is posted to it."""
    posted = []

    class Keep(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keep)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("SUMMARY_HOOK", f"http://127.0.0.1:{server.server_port}/secret-path")
    yield posted
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_newest_weeks_report_is_posted_and_an_older_one_is_not(template, tmp_path, webhook):
    settings = copy_of(template, tmp_path)
    settings = reloaded(
        settings,
        report={"webhook_env": "SUMMARY_HOOK"},
        aggregate={"min_conversations": 1, "min_users": 1},
    )
    with local_instance(tmp_path) as instance:
        first = evaluate(settings, instance, "post_weekly_summary")
        assert "posted the summary of 2026-10-12" in first.skip_message
        old = dg.AssetMaterialization("weekly_report", partition=OLD)
        instance.report_runless_asset_event(old)
        second = evaluate(settings, instance, "post_weekly_summary", cursor=first.cursor)
        assert "is not the newest week" in second.skip_message
    (document,) = webhook
    assert document["week"] == NEW
    assert document["text"].startswith("Week of 2026-10-12")


def test_a_post_that_fails_does_not_show_the_address():
    with pytest.raises(SemtelError) as error:
        post_json("http://127.0.0.1:9/secret-path", {})
    assert "secret-path" not in str(error.value)

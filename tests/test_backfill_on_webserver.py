"""`semtel backfill --webserver` on a running Dagster: titled, terminated in its course, launched again, and ended."""

import datetime as dt
import os
import re
import subprocess
import sys
import time

import dagster as dg
import pytest

from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Latency, Script
from tests.living import living_project
from tests.pipeline import conversation, table
from tests.ui import BACKFILLS, ENDED, backfills, wait_for_backfill
from tests.webserver import dagster_dev

MONDAY = dt.date.today() - dt.timedelta(days=dt.date.today().weekday() + 7)
WEEK = MONDAY.isoformat()
ROWS, IN_FLIGHT = 240, 4
RUNNING = """{runsOrError(filter: {statuses: [STARTED], tags: [{key: "dagster/partition", value: "intent|%s"}]}) {
  ... on Runs {results {runId}}
}}"""
TERMINATE = """mutation {terminateRun(runId: "%s", terminatePolicy: SAFE_TERMINATE) {
  __typename ... on PythonError {message} ... on TerminateRunFailure {message}
}}"""
STATUS = """{runOrError(runId: "%s") {... on Run {status}}}"""


def backfill_on(server, folder):
    """Runs the command and returns the backfill that it launched."""
    done = subprocess.run(
        [sys.executable, "-m", "semtel_dagster", "backfill", "--webserver", server.url, "--max-calls", "100000"],
        cwd=folder,
        env=os.environ | {"DAGSTER_HOME": str(folder / "home"), "SEMTEL_SETTINGS": str(folder / "semtel.yaml")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"{server.url}/runs/b/" in done.stdout
    newest = backfills(server.query(BACKFILLS))[0]
    assert newest["id"] in done.stdout
    return newest


def calls_in(title):
    """The calls that a title tells."""
    return int(re.search(r"([\d,]+) calls?", title)[1].replace(",", ""))


def slots_taken(home):
    """Who holds the pool that limits asking."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return instance.event_log_storage.get_concurrency_info("llm").claimed_slots


def terminated_and_launched_again(server, models, folder):
    """Launches, terminates the run that asks, launches again; gives what the models counted."""
    first = backfill_on(server, folder)
    assert first["title"].startswith("semtel: 1 partition, ")
    assert f"{ROWS} calls" in first["title"]
    run = server.wait_for(RUNNING % WEEK, lambda reply: reply["runsOrError"]["results"], 400)[0]["runId"]
    server.wait_for("{version}", lambda _: models.stats(conversations=False)["answered"] >= 20, 200)
    assert server.query(TERMINATE % run)["terminateRun"]["__typename"] == "TerminateRunSuccess"
    server.wait_for(STATUS % run, lambda reply: reply["runOrError"]["status"] == "CANCELED", 120)
    asked = models.stats(conversations=False)["calls"]
    time.sleep(3)
    assert models.stats(conversations=False)["calls"] == asked < ROWS
    server.wait_for("{version}", lambda _: not slots_taken(folder / "home"), 200)
    server.wait_for(BACKFILLS, lambda reply: backfills(reply)[0]["status"] in ENDED, 200)

    models.set_script(Script())
    second = backfill_on(server, folder)
    assert ROWS - asked <= calls_in(second["title"]) <= ROWS - asked + 3 * IN_FLIGHT
    wait_for_backfill(server, second["id"])
    return models.stats()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_titled_backfill_is_terminated_in_its_course_and_the_next_one_pays_only_for_the_rest(tmp_path):
    rows = [
        conversation(n, f"How do I paint wall {n * 31}?", "Twice.", user=f"u{n}", started_at=f"{WEEK}T10:00:00Z")
        for n in range(ROWS)
    ]
    slow = Script(latency=Latency(median_s=1.0, sigma=0.1))
    with serve(slow) as models:
        endpoint = {"name": "east", "base_url": models.base_url, "model": "m1", "max_in_flight": IN_FLIGHT}
        settings = living_project(
            tmp_path,
            rows=rows,
            classifiers=["intent"],
            first_week=WEEK,
            endpoints=[endpoint],
            dedupe={"embedding": "none"},
        )
        with dagster_dev(tmp_path, tmp_path / "home") as server:
            stats = terminated_and_launched_again(server, models, tmp_path)
    assert ROWS <= stats["calls"] <= ROWS + IN_FLIGHT * 3  # in flight, over the flush interval
    labels = table(settings, "labels")
    assert (labels.height, labels["label"].null_count()) == (ROWS, 0)

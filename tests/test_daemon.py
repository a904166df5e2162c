"""The weekly cadence for real: Dagster's daemon makes the week that ended when the clock says so, without a click."""

import datetime as dt
import itertools
import time

import pytest
import yaml

from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from tests.living import CLASSIFIERS, living_project
from tests.pipeline import conversation, table
from tests.webserver import dagster_dev

MONDAY = dt.date.today() - dt.timedelta(days=dt.date.today().weekday() + 7)
WEEK = MONDAY.isoformat()
ROWS = 8
STAGES = [
    ["conversations", "rejected_conversations"],
    ["sampled_conversations"],
    ["truncated_conversations"],
    ["conversation_embeddings"],
    ["distinct_conversations", "duplicate_groups"],
    ["responses"],
    ["labels"],
    ["label_shares"],
    ["weekly_report"],
]
START = """mutation {startSensor(sensorSelector: {
  repositoryName: "__repository__", repositoryLocationName: "%s", sensorName: "weekly_cadence"
}) {__typename ... on PythonError {message}}}"""
RELOAD = """mutation {reloadRepositoryLocation(repositoryLocationName: "%s") {__typename}}"""
LOCATION = "{workspaceOrError {... on Workspace {locationEntries {name}}}}"
MADE = """{assetNodes(assetKeys: [%s]) {
  assetKey {path} assetMaterializations(limit: 100) {timestamp partition runId}
}}"""
RUNS = "{runsOrError {... on Runs {results {status tags {key value}}}}}"


def all_made(server):
    """Every materialization, by table: (time, partition, run)."""
    names = [name for stage in STAGES for name in stage]
    nodes = server.query(MADE % ", ".join(f'{{path: ["{name}"]}}' for name in names))["assetNodes"]
    return {
        node["assetKey"]["path"][0]: sorted(
            (float(each["timestamp"]), each["partition"], each["runId"]) for each in node["assetMaterializations"]
        )
        for node in nodes
    }


def set_clock(folder, server, location):
    """Moves the cadence to two minutes from now, once in the year, and loads it: what is left is waiting."""
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=2)
    file = folder / "semtel.yaml"
    written = yaml.safe_load(file.read_text()) | {"cadence": f"{soon.minute} {soon.hour} {soon.day} {soon.month} *"}
    file.write_text(yaml.safe_dump(written))
    server.query(RELOAD % location)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_when_the_clock_strikes_the_ended_week_is_made_in_order_for_all_classifiers(tmp_path):
    rows = [
        conversation(n, f"How do I paint wall {n * 31}?", "Twice.", user=f"u{n}", started_at=f"{WEEK}T10:00:00Z")
        for n in range(ROWS)
    ]
    with serve(Script()) as models:
        endpoint = {"name": "east", "base_url": models.base_url, "model": "m1"}
        settings = living_project(tmp_path, rows=rows, first_week=WEEK, endpoints=[endpoint])
        with dagster_dev(tmp_path, tmp_path / "home") as server:
            (entry,) = server.query(LOCATION)["workspaceOrError"]["locationEntries"]
            assert server.query(START % entry["name"])["startSensor"]["__typename"] == "Sensor"
            assert server.query(RUNS)["runsOrError"]["results"] == []
            for _ in range(4):  # on a slow machine the time may have passed before the daemon looked for the first time
                set_clock(tmp_path, server, entry["name"])
                end = time.monotonic() + 240
                while time.monotonic() < end and not server.query(RUNS)["runsOrError"]["results"]:
                    time.sleep(3)
                if server.query(RUNS)["runsOrError"]["results"]:
                    break
            server.wait_for(RUNS, lambda _: all_made(server)["weekly_report"], 900)
            made = all_made(server)
            runs = server.query(RUNS)["runsOrError"]["results"]
        stats = models.stats()
    assert {run["status"] for run in runs} == {"SUCCESS"}
    grid = sorted(f"{classifier}|{WEEK}" for classifier in CLASSIFIERS)
    for stage in STAGES:
        for name in stage:
            partitions = [partition for _, partition, _ in made[name]]
            assert sorted(partitions) == (grid if name in {"responses", "labels", "label_shares"} else [WEEK])
    for before, after in itertools.pairwise(STAGES[:6]):
        assert max(made[name][-1][0] for name in before) <= min(made[name][0][0] for name in after)
    for name in ("responses", "labels", "label_shares"):
        assert made[name][-1][0] <= made["weekly_report"][0][0]
    assert stats["calls"] == ROWS * len(CLASSIFIERS)
    assert table(settings, "labels").height == ROWS * 3  # expertise has two tasks

"""The Dagster UI as a user meets it: weeks made by clicks, a prompt edited, its weeks shown as stale, and caught up."""

import datetime as dt
import os
import subprocess
import sys

import pytest

from semtel_dagster.definitions import build_defs
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.planning.project import Project
from tests.living import edit, living_project
from tests.pipeline import conversation, project, table
from tests.ui import all_weeks, all_weeks_of, materialize, picture, show_graph, wait_for_backfill
from tests.webserver import browser_page, dagster_dev

# The last two complete weeks, whenever this runs.
MONDAY = dt.date.today() - dt.timedelta(days=dt.date.today().weekday() + 7)
WEEKS = [(MONDAY - dt.timedelta(days=7)).isoformat(), MONDAY.isoformat()]
PER_WEEK = 6
STALE = """{assetNodeOrError(assetKey: {path: ["responses"]}) {... on AssetNode {
  staleStatusByPartition(partitions: [%s])
}}}"""


def conversations():
    return [
        conversation(n, f"How do I paint wall {n * 31}?", "Twice.", user=f"u{n}", started_at=f"{week}T10:00:00Z")
        for place, week in enumerate(WEEKS)
        for n in range(place * PER_WEEK, (place + 1) * PER_WEEK)
    ]


def stale_weeks(server, *classifiers):
    """What the UI holds for stale: (classifier, week)."""
    keys = [(classifier, week) for classifier in classifiers for week in WEEKS]
    asked = STALE % ", ".join(f'"{classifier}|{week}"' for classifier, week in keys)
    found = server.wait_for(asked, lambda reply: reply["assetNodeOrError"]["staleStatusByPartition"], 60)
    return {key for key, status in zip(keys, found, strict=True) if status == "STALE"}


def shows_stale(page, server, classifier, week):
    """Whether the page of a classifier's week says that it is not in step with what it is made from."""
    page.goto(f"{server.url}/assets/responses?view=partitions&partition={classifier}%7C{week}")
    page.get_by_text("prompt_fingerprint").first.wait_for()
    page.wait_for_timeout(2000)
    return page.get_by_text("Unsynced").count() > 0


def files(settings, classifier):
    """The journal of a classifier: every file with its size."""
    folder = f"{settings.storage}/journal/{classifier}"
    return {path: os.path.getsize(os.path.join(root, path)) for root, _, names in os.walk(folder) for path in names}


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_prompt_is_edited_and_its_weeks_are_caught_up_by_clicks(tmp_path):
    with serve(Script()) as models:
        endpoint = {"name": "east", "base_url": models.base_url, "model": "m1"}
        settings = living_project(
            tmp_path, rows=conversations(), classifiers=["intent", "topic"], first_week=WEEKS[0], endpoints=[endpoint]
        )
        with dagster_dev(tmp_path, tmp_path / "home") as server, browser_page() as page:
            show_graph(page, server)
            wait_for_backfill(server, materialize(page, server, all_weeks))
            assert models.stats()["calls"] == 2 * len(WEEKS) * PER_WEEK
            assert stale_weeks(server, "intent", "topic") == set()
            page.goto(f"{server.url}/assets/label_shares?view=partitions&partition=intent%7C{WEEKS[1]}")
            page.get_by_text("share: intent", exact=False).first.wait_for()
            picture(page, "label_shares")

            models.reset()
            topic_before = files(settings, "topic")
            edit(settings, "intent", ("that they will use as it is", "to use as it is"))
            intent = {("intent", week) for week in WEEKS}
            server.wait_for("{version}", lambda _: stale_weeks(server, "intent", "topic") == intent, 240)
            assert [shows_stale(page, server, "topic", week) for week in WEEKS] == [False, False]
            assert [shows_stale(page, server, "intent", week) for week in WEEKS] == [True, True]
            page.get_by_text("Unsynced").first.hover()
            page.wait_for_timeout(1000)
            picture(page, "stale")

            show_graph(page, server, "key:responses+")
            page.get_by_role("button", name="Reload definitions").click()
            page.wait_for_timeout(5000)
            show_graph(page, server, "key:responses+")
            wait_for_backfill(server, materialize(page, server, all_weeks_of("intent")))
            assert stale_weeks(server, "intent", "topic") == set()
            assert [shows_stale(page, server, "intent", week) for week in WEEKS] == [False, False]
            stats = models.stats()
    assert stats["calls"] == len(WEEKS) * PER_WEEK
    assert set(stats["conversations"].values()) == {1}
    assert files(settings, "topic") == topic_before
    assert table(settings, "labels").height == 2 * len(WEEKS) * PER_WEEK
    current = {name: prompt.fingerprint for name, prompt in Project.of(settings).prompts.items()}
    answered = table(settings, "responses").select("classifier", "prompt_fingerprint").unique()
    assert dict(answered.iter_rows()) == current


def test_a_backfill_of_weeks_can_be_launched_from_the_ui_whatever_the_order_of_a_set(tmp_path):
    """Dagster 1.13 refuses some backfills over a table set with several parents that has to be made as a whole."""
    graph = build_defs(project(tmp_path, [])).resolve_asset_graph()
    nodes = [graph.get(key) for key in graph.materializable_asset_keys]
    whole = [node for node in nodes if len(node.execution_set_asset_keys) > 1]
    assert [node.key.to_user_string() for node in whole if len(node.parent_keys) > 1] == []


def test_all_roots_of_the_graph_have_weeks_so_that_a_backfill_of_everything_asks_for_weeks(tmp_path):
    graph = build_defs(project(tmp_path, [])).resolve_asset_graph()
    made = graph.materializable_asset_keys
    roots = [key for key in made if not graph.get(key).parent_keys & made]
    assert {graph.get(key).partitions_def for key in roots} == {graph.get(roots[0]).partitions_def}
    assert sorted(key.to_user_string() for key in roots) == ["conversations", "rejected_conversations"]


def test_the_definitions_validate(tmp_path):
    project(tmp_path, [])
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "semtel_dagster.definitions"],
        cwd=tmp_path,
        env=os.environ | {"SEMTEL_SETTINGS": str(tmp_path / "semtel.yaml")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Validation successful" in done.stdout + done.stderr

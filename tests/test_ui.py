"""The Dagster UI as a user meets it: the graph, a week materialized by clicks, what it shows afterwards."""

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline import conversation, project, table
from tests.webserver import browser_page, dagster_dev

BACKFILLS = "{partitionBackfillsOrError{... on PartitionBackfills{results{status}}}}"
PATH = ["partitionBackfillsOrError", "results", 0, "status"]
ENDED = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "COMPLETED", "FAILED"}


# The latest partition in the UI is the last complete week, whenever this runs.
MONDAY = dt.date.today() - dt.timedelta(days=dt.date.today().weekday() + 7)
WEEK = MONDAY.isoformat()


def conversations():
    texts = [(f"How do I paint wall number {n * 31}?", "Twice.") for n in range(12)]
    return [conversation(n, *text, user=f"u{n}", started_at=f"{WEEK}T10:00:00Z") for n, text in enumerate(texts)]


def picture(page, name):
    """Keeps a screenshot where SEMTEL_PICTURES names a folder."""
    if os.environ.get("SEMTEL_PICTURES"):
        page.screenshot(path=Path(os.environ["SEMTEL_PICTURES"]) / f"{name}.png")


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_week_is_materialized_by_clicks_and_shows_its_figures(tmp_path):
    settings = project(tmp_path, conversations(), classifiers=["intent", "topic"], first_week=WEEK)
    with dagster_dev(tmp_path, tmp_path / "home") as server, browser_page() as page:
        page.goto(f"{server.url}/asset-groups/~/*")
        page.get_by_role("button", name="Materialize all").first.click()
        page.get_by_text("conversations", exact=True).first.wait_for()
        page.get_by_role("button", name="Latest", exact=True).click()
        picture(page, "launch")
        page.get_by_role("button", name="Launch backfill").click()
        assert server.wait_for(BACKFILLS, PATH, ENDED, seconds=500) == "COMPLETED_SUCCESS"
        page.goto(f"{server.url}/asset-groups/~/*")
        page.get_by_role("button", name="Materialize all").first.wait_for()
        page.wait_for_timeout(5000)
        picture(page, "graph")
        page.goto(f"{server.url}/assets/label_shares?view=partitions&partition=intent%7C{WEEK}")
        page.get_by_text("share: intent", exact=False).first.wait_for()
        picture(page, "label_shares")
    labels = table(settings, "labels")
    assert set(labels["classifier"]) == {"intent", "topic"}
    assert labels["week"].unique().to_list() == [MONDAY]
    assert labels.height == 24


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

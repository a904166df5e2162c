"""What a user does in the Dagster UI, and how a test waits for it: as a user does, for what the page shows.

Belongs here: clicks and waits. What a test expects of a project belongs in the test.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.webserver import Webserver

BACKFILLS = """{partitionBackfillsOrError {
  __typename
  ... on PartitionBackfills {results {id status title numPartitions partitionNames error {message}}}
  ... on PythonError {message}
}}"""
FAILED_RUNS = """{runsOrError(filter: {statuses: [FAILURE]}) {
  ... on Runs {results {eventConnection {events {... on MessageEvent {message level}}}}}
}}"""
ENDED = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "COMPLETED", "FAILED", "CANCELED"}
TRIES, PATIENCE_MS = 4, 30_000


def backfills(reply: dict[str, Any]) -> list[dict[str, Any]]:
    """The backfills of a reply, the newest first; an error of Dagster's fails the test in its own words."""
    found = reply["partitionBackfillsOrError"]
    assert "results" in found, found
    return list(found["results"])


def wait_for_backfill(server: Webserver, identifier: str, seconds: float = 500) -> dict[str, Any]:
    """A backfill once it has ended; one that failed fails the test."""

    def ended(reply: dict[str, Any]) -> dict[str, Any] | None:
        return next((each for each in backfills(reply) if each["id"] == identifier and each["status"] in ENDED), None)

    backfill: dict[str, Any] = server.wait_for(BACKFILLS, ended, seconds)
    if backfill["status"] != "COMPLETED_SUCCESS":
        raise AssertionError(f"{backfill}\n{_failures(server)}\n{server.tail()}")
    return backfill


def _failures(server: Webserver) -> list[str]:
    """What the failed runs said."""
    runs = server.query(FAILED_RUNS)["runsOrError"].get("results", [])
    events = [event for run in runs for event in run["eventConnection"]["events"]]
    return [str(event["message"])[:500] for event in events if event.get("level") in {"ERROR", "CRITICAL"}]


def show_graph(page: Any, server: Webserver, selection: str = "") -> None:
    """The page of all assets or of a selection, once the button of the header stands there."""
    page.goto(f"{server.url}/asset-groups{'~' if selection else ''}{quote(selection)}/~/*")
    page.get_by_role("button", name="Materialize").first.wait_for()


def materialize(page: Any, server: Webserver, choose: Callable[[Any], None]) -> str:
    """Opens the dialog of the page's button, chooses in it, launches, and returns the backfill's id.

    A page that is still loading may lose a click, so a dialog from which nothing came is opened again, as a user
    would; what the page said about it is told when no try succeeds.
    """
    known, told = {each["id"] for each in backfills(server.query(BACKFILLS))}, []
    for _ in range(TRIES):
        try:
            _launch(page, choose)
        except _timeout() as error:
            told.append(str(error).split("\n")[0])
        launched = [each["id"] for each in backfills(server.query(BACKFILLS)) if each["id"] not in known]
        if launched:
            return str(launched[0])
        told.append(_visible_text(page))
        page.reload()
    place = server.log.parent / "no-backfill.png"
    page.screenshot(path=place)
    raise AssertionError(f"no backfill in {TRIES} tries; picture: {place}; the page said: {told}\n{server.tail()}")


def all_weeks(page: Any) -> None:
    """Every week; where the dialog asks for a classifier too, the weeks are its last row."""
    page.get_by_role("dialog").last.get_by_role("button", name="All", exact=True).last.click(timeout=PATIENCE_MS)


def all_weeks_of(classifier: str) -> Callable[[Any], None]:
    """Every week of one classifier."""

    def choose(page: Any) -> None:
        page.get_by_role("dialog").last.get_by_text("Select a partition").first.click(timeout=PATIENCE_MS)
        page.locator(f"[title={classifier}]").last.click(timeout=PATIENCE_MS)
        page.keyboard.press("Escape")
        all_weeks(page)

    return choose


def _launch(page: Any, choose: Callable[[Any], None]) -> None:
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog").last
    choose(page)
    picture(page, "launch")
    dialog.get_by_role("button", name="Launch backfill").click(timeout=PATIENCE_MS)
    dialog.wait_for(state="hidden", timeout=PATIENCE_MS)


def picture(page: Any, name: str) -> None:
    """Keeps a screenshot where SEMTEL_PICTURES names a folder."""
    if os.environ.get("SEMTEL_PICTURES"):
        page.screenshot(path=Path(os.environ["SEMTEL_PICTURES"]) / f"{name}.png")


def _visible_text(page: Any) -> str:
    toasts = [toast.inner_text() for toast in page.locator("[class*=toast], [class*=Toast]").all()]
    return " | ".join([*dict.fromkeys(toasts), page.locator("body").inner_text()[:1500]])


def _timeout() -> type[Exception]:
    from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

    return PlaywrightTimeoutError

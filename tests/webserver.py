"""A real `dagster dev` (webserver and daemon) over a project folder, and a real browser on it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from semtel_dagster.runs import default_instance_config

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Webserver:
    """Where the UI is, its GraphQL, and what Dagster's processes wrote."""

    url: str
    log: Path

    def query(self, text: str, **variables: Any) -> dict[str, Any]:
        """The data of a GraphQL query; its errors fail the test in their own words."""
        body = json.dumps({"query": text, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            document: dict[str, Any] = json.load(reply)
        assert not document.get("errors"), document["errors"]
        return dict(document["data"])

    def wait_for(self, text: str, holds: Callable[[dict[str, Any]], Any], seconds: float) -> Any:
        """Asks again until something of the reply holds, and returns it; else fails with the last reply and the log."""
        end, reply = time.monotonic() + seconds, dict[str, Any]()
        while time.monotonic() < end:
            reply = self.query(text)
            found = holds(reply)
            if found:
                return found
            time.sleep(2)
        raise AssertionError(f"not within {seconds} s; the last reply: {json.dumps(reply)[:4000]}\n{self.tail()}")

    def tail(self) -> str:
        """The end of what Dagster's processes wrote."""
        return f"the end of dev.log:\n{self.log.read_text(errors='replace')[-4000:]}"


@contextmanager
def dagster_dev(folder: Path, home: Path, **variables: str) -> Iterator[Webserver]:
    """`dagster dev` on a project folder with a semtel.yaml, under environment variables; stopped with its children."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(default_instance_config(), encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"DAGSTER_HOME": str(home), "SEMTEL_SETTINGS": str(folder / "semtel.yaml")} | variables
    command = [sys.executable, "-m", "dagster", "dev", "-m", "semtel_dagster.definitions", "-h", "127.0.0.1"]
    with (folder / "dev.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "-p", str(port)], cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    server = Webserver(f"http://127.0.0.1:{port}", folder / "dev.log")
    try:
        _wait_until_up(server, process)
        yield server
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def browser_page() -> Iterator[Any]:
    """A page of a headless Chromium."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None and not os.environ.get("CI"):
        pytest.skip("no Chromium on this machine; install the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1600, "height": 900})
            page.set_default_timeout(60_000)
            yield page
        finally:
            browser.close()


def _wait_until_up(server: Webserver, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 240
    while time.monotonic() < end:
        assert process.poll() is None, server.tail()
        try:
            if server.query("{version}").get("version"):
                return
        except OSError:
            time.sleep(1)
    raise AssertionError(f"dagster dev did not answer; {server.tail()}")

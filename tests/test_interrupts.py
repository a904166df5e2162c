"""Ctrl-C, termination and `kill -9` in the middle of a run: it stops soon, and nothing is paid for twice."""

import signal
import subprocess
import sys
import time

import pytest

from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from tests.command import bare_environment
from tests.pipeline import conversation, project, run_weeks

ROWS = 200
IN_FLIGHT = 8


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-m", "semtel_dagster", "run"],
        cwd=folder,
        env=bare_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_a_run_that_is_stopped_goes_on_where_it_was(tmp_path, number):
    rows = [conversation(n, f"a question about {n * 7919}", "an answer", user=f"u{n}") for n in range(ROWS)]
    with serve(Script(latency={"median_s": 0.5, "sigma": 0.1})) as server:
        endpoint = {"name": "slow", "base_url": server.base_url, "model": "loopback", "max_in_flight": IN_FLIGHT}
        settings = project(tmp_path, rows, endpoints=[endpoint], dedupe={"embedding": "none"})
        process = start(tmp_path)
        while server.stats(conversations=False)["answered"] < 40:
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
        paid = server.stats(conversations=False)["answered"]
        outcome = run_weeks(settings)[1].labelled()
        stats = server.stats()
    assert paid < ROWS / 2, "it went on asking after it was told to stop"
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "not paid for again" in told
    assert (outcome.error, outcome.answered) == (None, ROWS)
    # What was in flight, and what was answered within the last flush interval, may be asked again.
    again = sum(times * count for times, count in _paid_again(stats))
    assert again <= IN_FLIGHT * 4


def _paid_again(stats):
    return [(int(times) - 1, count) for times, count in stats["paid_per_conversation"].items() if int(times) > 1]

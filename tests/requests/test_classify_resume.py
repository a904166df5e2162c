"""Runs that end early: killed, dropped, stopped by a full disk. What was answered is kept and not paid again."""

import os
import signal
import subprocess
import sys
import time

import pytest

from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.classify import ClassifyBatches
from tests.requests.builders import batches, endpoint, plan, prompt, run, texts

pytestmark = pytest.mark.timeout(60)

QUICK = {"median_s": 0.01, "sigma": 0.3}


def test_a_result_that_is_dropped_midway_keeps_what_was_answered(server, tmp_path):
    server.set_script(Script(latency=QUICK))
    result = ClassifyBatches(prompt(), plan(tmp_path, endpoint(server.base_url)))(batches(texts(3000)))
    got = next(result).num_rows
    result.close()
    _, figures = run(plan(tmp_path, endpoint(server.base_url)), texts(3000))
    assert figures.from_journal >= got


KILLED = """
import sys
from tests.requests.builders import *
a_plan = plan(sys.argv[1], endpoint(sys.argv[2]), requests={"flush_s": 0.3})
for batch in ClassifyBatches(prompt(), a_plan)(batches(texts(3000))):
    print(batch.num_rows, flush=True)
"""


def test_a_killed_run_pays_only_for_what_was_in_flight_again(server, tmp_path):
    server.set_script(Script(latency={"median_s": 0.1, "sigma": 0.2}))
    server.reset()
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), server.base_url], stdout=subprocess.PIPE)
    process.stdout.readline()
    time.sleep(0.7)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    time.sleep(0.5)
    paid_before = sum(server.stats()["paid"].values())
    table, figures = run(plan(tmp_path, endpoint(server.base_url), hedge=False), texts(3000))
    assert 0 < figures.from_journal < 3000
    assert len(set(table["content_hash"].to_pylist())) == table.num_rows == 3000
    twice = [calls for calls in server.stats()["paid"].values() if calls > 1]
    assert len(twice) == paid_before - figures.from_journal
    assert max(twice, default=0) <= 2


FULL = """
import resource, signal, sys
from tests.requests.builders import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
try:
    run(plan(sys.argv[1], endpoint(sys.argv[2]), requests={"flush_s": 0.1}, hedge=False), texts(3000))
except OSError as error:
    print(error)
"""


def test_a_full_disk_ends_the_run_and_a_later_one_goes_on_from_what_fitted(server, tmp_path):
    server.set_script(Script(latency=QUICK))
    server.reset()
    command = [sys.executable, "-c", FULL, str(tmp_path), server.base_url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "the answers so far are kept: make room for more, then run again" in told
    paid_before = sum(server.stats()["paid"].values())
    table, figures = run(plan(tmp_path, endpoint(server.base_url), hedge=False), texts(3000))
    assert 0 < figures.from_journal < paid_before < 3000
    assert figures.calls == 3000 - figures.from_journal
    assert len(set(table["content_hash"].to_pylist())) == table.num_rows == 3000

"""kill -9 while packs are asked: what was synced is not asked again, whichever classifier it answers for."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from semtel_dagster.packing.asking import Company
from semtel_dagster.reducers import PackSettings
from tests.packing.answers import ALL, labels, right, script
from tests.packing.builders import PROMPTS, ask
from tests.requests.builders import endpoint, plan

pytestmark = pytest.mark.timeout(120)

KILLED = """
import json, sys
from tests.packing.builders import *
from tests.requests.builders import *
a_plan = plan(sys.argv[1], endpoint(sys.argv[2]), requests={"flush_s": 0.3}, hedge=False)
settings = PackSettings(conversations=8, grade=json.loads(sys.argv[3]))
function = AskInCompany("colour", Company(PROMPTS, settings), a_plan)
for batch in function(batches(transcripts(2400))):
    print(batch.num_rows, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("grade", [False, True, "again"])
def test_a_killed_run_asks_again_only_what_was_not_synced(fresh, tmp_path, grade):
    fresh.set_script(script(latency={"median_s": 0.15, "sigma": 0.2}))
    command = [sys.executable, "-c", KILLED, str(tmp_path), fresh.base_url, json.dumps(grade)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while sum(fresh.stats()["paid_in_packs"].values()) < 800:
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    time.sleep(1.0)
    paid_before = len(fresh.stats()["paid_in_packs"])
    synced = {
        name: len(Company(dict(PROMPTS), PackSettings(conversations=8)).shelf(name, str(tmp_path), ("m",)))
        for name in PROMPTS
    }
    # Both classifiers' parts of an answer are synced, or neither's is found.
    assert 0 < min(synced.values()) <= max(synced.values()) <= paid_before
    a_plan = plan(tmp_path, endpoint(fresh.base_url), hedge=False)
    table, figures = ask(a_plan, ALL, prompts=PROMPTS, conversations=8, grade=grade)
    assert labels(table) == right(ALL)
    assert figures.failed == 0
    calls = fresh.stats()["paid_in_packs"].values()
    usual = 2 if grade == "again" else 1
    assert max(calls) <= usual + 1
    assert sum(calls) - usual * len(calls) <= paid_before - min(synced.values())

"""Long steps tell how far they are: to Dagster's event log and to whoever watches."""

import pickle

import dagster as dg

from semtel_dagster.definitions import LABEL_JOB, PREPARE_JOB, build_defs
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.progress import Listener, Progress
from semtel_dagster.requests.figures import Figures
from semtel_dagster.runs import Step, run_all
from tests.pipeline import FIRST_WEEK, conversation, project


def test_a_long_step_writes_observations_and_feeds_the_watcher(tmp_path):
    rows = [conversation(n, f"a question about {n * 7919}", "an answer") for n in range(40)]
    seen = []
    with serve(Script(latency={"median_s": 0.5, "sigma": 0.1})) as server, dg.DagsterInstance.ephemeral() as instance:
        endpoint = {"name": "slow", "base_url": server.base_url, "model": "loopback", "max_in_flight": 4}
        settings = project(tmp_path, rows, endpoints=[endpoint])
        defs = build_defs(settings, progress=Progress(lambda partition, figures: seen.append((partition, figures))))
        steps = [Step(PREPARE_JOB, FIRST_WEEK), Step(LABEL_JOB, FIRST_WEEK, "intent")]
        outcomes = [outcome for _, outcome in run_all(steps, defs, instance) if outcome]
        records = instance.fetch_observations(dg.AssetKey("responses"), limit=100).records
    assert [outcome.error for outcome in outcomes] == [None, None]
    done = [record.asset_observation.metadata["done"].value for record in records]
    assert done
    assert {record.partition_key for record in records} == {f"intent|{FIRST_WEEK}"}
    partition, last = seen[-1]
    assert partition == f"intent|{FIRST_WEEK}"
    assert (last.done, last.answered, last.calls) == (40, 40, 40)


def test_a_listener_that_travels_to_a_spark_task_is_silent():
    listener = pickle.loads(pickle.dumps(Listener(context=None, watcher=print)))
    assert listener(Figures(done=1)) is None

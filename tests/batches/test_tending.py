"""However a batch ends, every conversation of it is answered once, and nothing of it is lost."""

import pytest

from semtel_dagster.batches.quota import learned
from semtel_dagster.loopback.process import serve
from semtel_dagster.reducers import BatchSettings
from tests.batches.builders import Partition, paid, script, statuses
from tests.requests.builders import texts

ROWS = 60


@pytest.fixture(scope="module")
def running():
    with serve(script()) as server:
        yield server


@pytest.fixture
def server(running):
    running.set_script(script())
    running.reset()
    return running


def settings(**fields):
    return BatchSettings(enabled=True, min_requests=1, **fields)


@pytest.mark.parametrize(
    "work",
    [
        {"outcomes": ["expired"]},
        {"outcomes": ["cancelled"], "done_share": 0.2},
        {"outcomes": ["failed"]},
        {"outcomes": ["expired"], "lost_error_lines": 1.0},
        {"row_error_share": 0.3},
        {"row_error_share": 1.0},
        {"outcomes": ["completed", "expired", "failed"], "row_error_share": 0.1, "lost_error_lines": 0.5},
    ],
    ids=lambda work: ",".join(f"{name}={value}" for name, value in work.items()),
)
def test_what_a_batch_leaves_is_asked_online_and_nothing_twice(server, tmp_path, work):
    server.set_script(script(delay_s=0.05, **work))
    partition = Partition(tmp_path, server, texts(ROWS), settings(max_requests=20))
    partition.make()
    partition.wait()
    left = sum(batch.released for batch in partition.store.all())
    assert left > 0
    made = partition.make()
    assert statuses(made) == {"answered": ROWS}
    assert made["endpoint"].to_pylist().count("one") == left
    assert paid(server) == {1: ROWS}


def test_what_a_batch_leaves_may_wait_for_another_one(server, tmp_path):
    server.set_script(script(delay_s=0.5, outcomes=["expired", "completed"]))
    partition = Partition(tmp_path, server, texts(ROWS), settings(tries=2))
    partition.make()
    (first,) = partition.wait()
    assert statuses(partition.make())["waiting"] == first.released
    assert statuses(partition.finish()) == {"answered": ROWS}
    assert set(partition.make()["endpoint"].to_pylist()) == {"one (batch)"}
    assert paid(server) == {1: ROWS}


@pytest.mark.parametrize("refused_at", ["create", "validation"])
def test_batches_that_find_no_room_go_on_as_others_end(server, tmp_path, refused_at):
    # The server counts about 280 tokens a file, we count 480; there is room for one file of three.
    server.set_script(script(delay_s=0.4, max_enqueued_tokens=500, quota_refused_at=refused_at))
    partition = Partition(tmp_path, server, texts(ROWS), settings(max_requests=20))
    assert statuses(partition.make()) == {"waiting": ROWS}
    assert learned(partition.store.folder, "one") == 500
    assert any(batch.refusals for batch in partition.poll())
    assert statuses(partition.finish()) == {"answered": ROWS}
    assert paid(server) == {1: ROWS}


def test_a_file_that_is_too_large_for_the_quota_comes_back_smaller(server, tmp_path):
    server.set_script(script(max_enqueued_tokens=400))
    partition = Partition(tmp_path, server, texts(ROWS))
    first = statuses(partition.make())
    assert partition.store.all()[0].ending in {None, "refused"}
    assert statuses(partition.finish()) == {"answered": ROWS}
    assert first.get("waiting", 0) + first.get("answered", 0) == ROWS
    assert paid(server) == {1: ROWS}
    assert all(batch.tokens <= 400 for batch in partition.store.all()[1:])


def test_a_batch_that_takes_too_long_is_cancelled_and_its_rest_asked_online(server, tmp_path):
    server.set_script(script(delay_s=3600, done_share=0.5))
    partition = Partition(tmp_path, server, texts(ROWS))
    partition.make()
    (batch,) = partition.store.open()
    later = batch.made_at + 27 * 3600
    partition.tender(now=lambda: later).tend_all()
    partition.tender(now=lambda: later).tend_all()
    (batch,) = partition.store.all()
    assert (batch.ending, batch.answered + batch.released) == ("cancelled", ROWS)
    assert batch.answered > 0
    assert statuses(partition.make()) == {"answered": ROWS}
    assert paid(server) == {1: ROWS}


def test_a_provider_that_is_away_loses_nothing(server, tmp_path):
    server.set_script(script(delay_s=0.05))
    partition = Partition(tmp_path, server, texts(ROWS))
    partition.make()
    server.set_script(server_with_key("another"))
    tender = partition.tender()
    (batch,) = tender.tend_all()
    assert batch.is_open
    assert "unauthorized (HTTP 401)" in tender.faults[batch.name]
    server.set_script(script(delay_s=0.05))
    assert statuses(partition.finish()) == {"answered": ROWS}
    assert paid(server) == {1: ROWS}


def test_an_endpoint_that_left_the_settings_is_told(server, tmp_path):
    server.set_script(script(delay_s=60))
    partition = Partition(tmp_path, server, texts(ROWS))
    partition.make()
    tender = partition.tender(endpoints={})
    (batch,) = tender.tend_all()
    assert batch.is_open
    assert "'one' is not in the settings" in tender.faults[batch.name]


def test_two_processes_do_not_tend_the_same_batch(server, tmp_path):
    server.set_script(script(delay_s=60))
    partition = Partition(tmp_path, server, texts(ROWS))
    partition.make()
    (batch,) = partition.store.open()
    with partition.store.lock(batch.name) as mine:
        assert mine
        assert partition.tender().tend(batch.name) is None


def test_conversations_do_not_stay_with_the_provider_or_in_the_state(server, tmp_path):
    partition = Partition(tmp_path, server, texts(ROWS))
    partition.make()
    partition.wait()
    kept = [
        path for path in partition.store.folder.rglob("*") if path.is_file() and b"conversation" in path.read_bytes()
    ]
    assert kept == []
    assert server._ask(server.port, "/v1/files")["data"] == []


def server_with_key(key):
    return script(delay_s=0.05).model_copy(update={"api_key": key})

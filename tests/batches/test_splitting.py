"""What can wait goes to batch files, the rest is asked at once; the answers come home into the same journal."""

import pytest

from semtel_dagster.loopback.process import serve
from semtel_dagster.reducers import BatchSettings
from semtel_dagster.requests.budget import Budget, BudgetSpentError
from tests.batches.builders import Partition, paid, script, statuses
from tests.requests.builders import texts


@pytest.fixture(scope="module")
def running():
    with serve(script()) as server:
        yield server


@pytest.fixture
def server(running):
    running.set_script(script(delay_s=0.05))
    running.reset()
    return running


def settings(**fields):
    return BatchSettings(enabled=True, min_requests=1, **fields)


def test_what_waits_has_no_answer_yet_and_no_call_was_made_for_it(server, tmp_path):
    server.set_script(script(delay_s=60))
    made = Partition(tmp_path, server, texts(30)).make()
    assert statuses(made) == {"waiting": 30}
    assert set(made["error"].to_pylist()) == {"waiting for batch"}
    assert server.stats()["calls"] == 0
    assert server.stats()["batches_created"] == 1


def test_answers_of_a_batch_are_in_the_table_once_it_has_ended(server, tmp_path):
    partition = Partition(tmp_path, server, texts(30))
    partition.make()
    (batch,) = partition.wait()
    assert (batch.ending, batch.answered, batch.released) == ("completed", 30, 0)
    made = partition.make()
    assert statuses(made) == {"answered": 30}
    assert set(made["endpoint"].to_pylist()) == {"one (batch)"}
    assert set(made["model"].to_pylist()) == {"m"}
    assert sum(made["input_tokens"].to_pylist()) == batch.input_tokens > 0
    assert paid(server) == {1: 30}


def test_the_answers_are_those_of_online_calls(server, tmp_path):
    waited = Partition(tmp_path / "batch", server, texts(40)).finish()
    online = Partition(tmp_path / "online", server, texts(40), BatchSettings()).make()
    assert waited["raw_text"].to_pylist() == online["raw_text"].to_pylist()
    assert waited["content_hash"].to_pylist() == online["content_hash"].to_pylist()


def test_making_the_partition_again_while_it_waits_asks_nothing(server, tmp_path):
    server.set_script(script(delay_s=60))
    partition = Partition(tmp_path, server, texts(20))
    first = partition.make()
    assert partition.make().equals(first)
    assert partition.poll()[0].remote_status == "in_progress"
    assert server.stats()["batches_created"] == 1
    assert server.stats()["calls"] == 0


def test_a_share_waits_and_the_rest_is_asked_in_the_same_run(server, tmp_path):
    partition = Partition(tmp_path, server, texts(200), settings(share=0.5))
    first = statuses(partition.make())
    assert 60 < first["waiting"] < 140
    assert first["waiting"] + first["answered"] == 200
    assert statuses(partition.finish()) == {"answered": 200}
    assert paid(server) == {1: 200}


def test_a_small_week_is_asked_at_once(server, tmp_path):
    partition = Partition(tmp_path, server, texts(20), BatchSettings(enabled=True, min_requests=21))
    assert statuses(partition.make()) == {"answered": 20}
    assert server.stats()["batches_created"] == 0


def test_what_the_quota_does_not_take_is_asked_at_once(server, tmp_path):
    each = 10 + 11 + len("conversation 100") // 4
    partition = Partition(tmp_path, server, texts(100), settings(max_enqueued_tokens=40 * each))
    first = statuses(partition.make())
    assert first["waiting"] in range(38, 46)
    assert statuses(partition.finish()) == {"answered": 100}
    assert paid(server) == {1: 100}


def test_files_keep_their_limits(server, tmp_path):
    partition = Partition(tmp_path, server, texts(50), settings(max_requests=20))
    partition.make()
    assert sorted(batch.requests for batch in partition.store.all()) == [10, 20, 20]
    by_size = Partition(tmp_path / "size", server, texts(50), settings(max_file_mb=0.01))
    by_size.make()
    sizes = [batch.size for batch in by_size.store.all()]
    assert len(sizes) > 1
    assert max(sizes) <= 10_000
    assert statuses(partition.finish()) == {"answered": 50}


def test_a_text_that_two_weeks_hold_is_asked_once(server, tmp_path):
    server.set_script(script(delay_s=0.3))
    first, second = (Partition(tmp_path, server, texts(20), week=week) for week in ("2026-10-05", "2026-10-12"))
    assert statuses(first.make()) == statuses(second.make()) == {"waiting": 20}
    assert server.stats()["batches_created"] == 1
    first.wait()
    assert statuses(second.make()) == {"answered": 20}


def test_switching_batches_off_does_not_ask_again_what_waits(server, tmp_path):
    server.set_script(script(delay_s=60))
    Partition(tmp_path, server, texts(20)).make()
    off = Partition(tmp_path, server, texts(25), BatchSettings())
    assert statuses(off.make()) == {"waiting": 20, "answered": 5}
    assert server.stats()["calls"] == 5


def test_texts_with_every_kind_of_line_break_come_home(server, tmp_path):
    conversations = [*texts(10), 'U+2028 \u2028 and U+0085 \x85 and \x00 in "quotes"\n']
    partition = Partition(tmp_path, server, conversations)
    partition.make()
    assert statuses(partition.finish()) == {"answered": 11}
    assert paid(server) == {1: 11}


def test_a_budget_caps_what_is_submitted_and_is_charged_for_it(server, tmp_path):
    budget = Budget(str(tmp_path / "ledger"), max_calls=12)
    with pytest.raises(BudgetSpentError):
        Partition(tmp_path, server, texts(30), budget=budget).make()
    (batch,) = Partition(tmp_path, server, texts(30)).store.all()
    assert batch.requests == budget.spent().calls == 12
    assert 0 < budget.spent().cost_usd < 12 * (40 * 1.0 + 20 * 10.0) / 1e6


def test_a_server_without_batches_is_asked_online_in_the_same_run(server, tmp_path):
    server.set_script(script(served=False))
    partition = Partition(tmp_path, server, texts(10))
    assert statuses(partition.make()) == {"answered": 10}
    (batch,) = partition.store.all()
    assert (batch.ending, batch.released) == ("rejected", 10)
    assert server.stats()["calls"] == 10

"""A batch on disk: whole or not there, held by one process at a time, and what it left is known after its end."""

import pickle
import time

import narwhals as nw
import polars as pl
import pyarrow as pa
import pytest

from semtel_dagster.batches.batch import Batch
from semtel_dagster.batches.quota import finds_room, learn, learned, room
from semtel_dagster.batches.splitting import conversations_of
from semtel_dagster.batches.store import INPUT, REQUESTED, Store
from semtel_dagster.batches.waiting import WaitOrAsk
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.errors import SemtelError
from tests.requests.builders import batches, hash_of, texts


def batch(name="semtel-1", **fields):
    given = {"classifier": "colour", "fingerprint": "f", "endpoint": "one", "model": "m", "week": "2026-10-05"}
    return Batch(name=name, **{**given, "requests": 3, "tokens": 300, "size": 10, "made_at": 1.0, **fields})


def requested(*names):
    values = [pa.array([hash_of(name) for name in names], pa.large_string()), pa.array([100] * len(names))]
    return pa.table(values, schema=REQUESTED)


def added(store, one, *names):
    with store.writing(one.name) as staging:
        (staging / INPUT).write_text("lines")
        store.add(one, requested(*names), staging)
    return one


def test_a_batch_is_there_with_its_requests_once_it_is_added(tmp_path):
    store = Store(tmp_path)
    one = added(store, batch(), "a", "b")
    assert store.open() == [one]
    assert store.waiting("colour", "f") == {hash_of("a"), hash_of("b")}
    assert store.waiting("colour", "another prompt") == set()


def test_a_file_that_was_not_added_leaves_nothing(tmp_path):
    store = Store(tmp_path)
    with store.writing("semtel-1") as staging:
        (staging / INPUT).write_text("lines")
    assert store.all() == []
    assert list(tmp_path.iterdir()) == []


def test_the_input_stays_until_the_provider_has_created_the_batch(tmp_path):
    store = Store(tmp_path)
    one = added(store, batch(), "a")
    store.save(one.model_copy(update={"status": "uploaded"}))
    assert store.input(one.name).exists()
    store.save(one.model_copy(update={"status": "created"}))
    assert not store.input(one.name).exists()


def test_after_its_end_a_batch_is_waited_for_no_more_and_what_it_left_has_been_tried(tmp_path):
    store = Store(tmp_path)
    for name in ("semtel-1", "semtel-2"):
        store.end(added(store, batch(name), "a", "b").model_copy(update={"ending": "expired"}), requested("b"))
    assert store.waiting("colour", "f") == set()
    assert store.tried("colour", "f", 1) == store.tried("colour", "f", 2) == {hash_of("b")}
    assert store.tried("colour", "f", 3) == set()


@pytest.mark.parametrize("ending", ["refused", "lost"])
def test_a_batch_that_never_ran_is_no_try(tmp_path, ending):
    store = Store(tmp_path)
    store.end(added(store, batch(), "a").model_copy(update={"ending": ending}), requested("a"))
    assert store.tried("colour", "f", 1) == set()


def test_a_state_of_another_version_is_told_with_its_place(tmp_path):
    store = Store(tmp_path)
    added(store, batch(), "a")
    (tmp_path / "semtel-1" / "batch.json").write_text('{"name": "semtel-1"}')
    with pytest.raises(SemtelError, match=r"batch\.json is not a batch's state"):
        store.all()


def test_what_a_crashed_writer_left_is_swept_after_a_day(tmp_path):
    store = Store(tmp_path)
    (tmp_path / ".semtel-9").mkdir(parents=True)
    store.sweep()
    assert (tmp_path / ".semtel-9").exists()
    store.sweep(older_than_s=-1)
    assert not (tmp_path / ".semtel-9").exists()


def test_the_store_lies_beside_the_journal(tmp_path):
    assert Store.beside(tmp_path / "journal").folder == tmp_path / "batches"
    assert Store.beside(tmp_path / "cache").folder == tmp_path / "cache" / ".batches"


def test_room_is_the_tightest_limit_less_what_is_claimed(tmp_path):
    batches = [batch(), batch("semtel-2", status="created"), batch("semtel-3", status="ended"),
               batch("semtel-4", endpoint="other")]  # fmt: skip
    assert room(tmp_path, batches, "one", None) is None
    assert room(tmp_path, batches, "one", 1000) == 400
    assert learn(tmp_path, "one", said=800, queued=300, refused=600) == learned(tmp_path, "one") == 800
    assert room(tmp_path, batches, "one", 1000) == 200
    assert room(tmp_path, batches, "one", 500) == 0


@pytest.mark.parametrize(("said", "queued", "believed"), [(800, 300, 800), (None, 300, 300), (None, 0, 250)])
def test_a_refusal_teaches_what_it_says_or_what_was_queued_or_half(tmp_path, said, queued, believed):
    assert learn(tmp_path, "one", said=said, queued=queued, refused=500) == believed


def test_a_refused_file_finds_room_when_the_queue_is_short_enough(tmp_path):
    waiting, queued = batch("semtel-2", status="uploaded"), batch(status="created")
    assert finds_room(tmp_path, [waiting], waiting)
    assert not finds_room(tmp_path, [waiting, queued], waiting)
    learn(tmp_path, "one", said=600, queued=0, refused=0)
    assert finds_room(tmp_path, [waiting, queued], waiting)


class Distributed(PolarsEngine):
    """An engine whose rows lie elsewhere."""

    distributed = True


@pytest.mark.parametrize("engine", [PolarsEngine(), Distributed()])
def test_conversations_are_read_from_either_engine_as_often_as_asked(tmp_path, engine):
    frame = nw.from_native(pl.DataFrame(pa.Table.from_batches(list(batches(texts(50))))).lazy())
    read = conversations_of(frame, engine, tmp_path / "scratch")
    for _ in range(2):
        rows = [row for part in read(("content_hash", "text")) for row in part.to_pylist()]
        assert rows == [{"content_hash": hash_of(text), "text": text} for text in texts(50)]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def identity(rows):
    yield from rows


def test_the_row_function_travels_and_says_which_rows_wait(tmp_path):
    added(Store(tmp_path / "batches"), batch(made_at=time.time()), *texts(4)[:2])
    function = pickle.loads(pickle.dumps(WaitOrAsk(identity, str(tmp_path / "journal"), "colour", "f", ("m",))))
    rows = [row for part in function(batches(texts(4), size=1)) for row in part.to_pylist()]
    waiting = [row["content_hash"] for row in rows if row.get("status") == "waiting"]
    assert sorted(waiting) == sorted(hash_of(text) for text in texts(4)[:2])
    assert len(rows) == 4

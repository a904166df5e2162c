"""A partition in an object store is seen whole or not at all, on a real S3 interface as in memory."""

import datetime as dt
import json
import uuid

import fsspec
import pytest

from semtel_dagster import diagnosis, object_store
from semtel_dagster.errors import DependencyError, SettingsError
from semtel_dagster.object_store import MANIFEST, ObjectStore
from semtel_dagster.settings import Settings
from tests.object_storage import s3_server

PLACE = "labels/week=2026-11-09/classifier=topic"


@pytest.fixture(scope="module")
def s3():
    with s3_server() as url:
        yield url


@pytest.fixture(params=["memory", "s3"])
def store(request):
    root = request.getfixturevalue("s3") if request.param == "s3" else "memory://semtel"
    return ObjectStore(f"{root}/{uuid.uuid4().hex}")


def local(folder, content, parts=2):
    """A partition's local folder with some parts."""
    into = folder / PLACE
    into.mkdir(parents=True, exist_ok=True)
    for old in into.iterdir():
        old.unlink()
    for number in range(parts):
        (into / f"part-{number:05}.parquet").write_text(content)
    return into


def seen(storage):
    return {path.name: path.read_text() for path in sorted((storage / PLACE).glob("*.parquet"))}


def objects(store):
    files, root = fsspec.core.url_to_fs(f"{store.url}/{PLACE}")
    files.invalidate_cache()
    return sorted(path.rsplit("/", 1)[-1] for path in files.find(root))


def test_another_machine_sees_what_was_published(store, tmp_path):
    store.publish(local(tmp_path / "one", "first"), PLACE)
    assert store.fetch(PLACE, tmp_path / "other")
    assert seen(tmp_path / "other") == {"part-00000.parquet": "first", "part-00001.parquet": "first"}


def test_nothing_published_leaves_the_local_folder(store, tmp_path):
    local(tmp_path, "mine")
    assert not store.fetch(PLACE, tmp_path)
    assert set(seen(tmp_path).values()) == {"mine"}


def test_new_parts_take_the_place_of_old_ones_and_nothing_else_stays(store, tmp_path):
    store.publish(local(tmp_path / "one", "first", parts=3), PLACE)
    store.fetch(PLACE, tmp_path / "other")
    store.publish(local(tmp_path / "one", "second", parts=1), PLACE)
    assert len(objects(store)) == 2
    store.fetch(PLACE, tmp_path / "other")
    assert seen(tmp_path / "other") == {"part-00000.parquet": "second"}


def test_what_is_here_already_is_not_read_again(store, tmp_path, monkeypatch):
    store.publish(local(tmp_path / "one", "first"), PLACE)
    store.fetch(PLACE, tmp_path / "other")
    monkeypatch.setattr(ObjectStore, "_download", None)
    assert store.fetch(PLACE, tmp_path / "other")
    assert store.fetch(PLACE, tmp_path / "one")


def test_a_writer_that_dies_before_its_manifest_changes_nothing(store, tmp_path, monkeypatch):
    store.publish(local(tmp_path / "one", "first"), PLACE)
    with monkeypatch.context() as patched:
        patched.setattr(object_store.json, "dumps", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.publish(local(tmp_path / "one", "second"), PLACE)
    store.fetch(PLACE, tmp_path / "other")
    assert set(seen(tmp_path / "other").values()) == {"first"}


def test_what_a_dead_writer_left_is_removed_once_it_is_old(store, tmp_path, monkeypatch):
    files, root = fsspec.core.url_to_fs(f"{store.url}/{PLACE}")
    files.pipe_file(f"{root}/part-00000-dead.parquet", b"half")
    store.publish(local(tmp_path, "first", parts=1), PLACE)
    assert "part-00000-dead.parquet" in objects(store)
    monkeypatch.setattr(object_store, "LEFTOVER_AGE", dt.timedelta(seconds=-5))
    store.publish(local(tmp_path, "second", parts=1), PLACE)
    assert len(objects(store)) == 2


def test_a_reader_overtaken_by_a_writer_reads_the_new_parts(store, tmp_path, monkeypatch):
    store.publish(local(tmp_path / "one", "first"), PLACE)
    download = ObjectStore._download
    overtaken = []

    def overtake(self, place, manifest, folder, storage):
        if not overtaken:
            overtaken.append(True)
            store.publish(local(tmp_path / "one", "second"), PLACE)
        download(self, place, manifest, folder, storage)

    monkeypatch.setattr(ObjectStore, "_download", overtake)
    assert store.fetch(PLACE, tmp_path / "other")
    assert set(seen(tmp_path / "other").values()) == {"second"}


def test_a_part_that_is_cut_off_is_never_taken(store, tmp_path):
    store.publish(local(tmp_path / "one", "first", parts=1), PLACE)
    files, root = fsspec.core.url_to_fs(f"{store.url}/{PLACE}")
    manifest = json.loads(files.cat_file(f"{root}/{MANIFEST}"))
    files.pipe_file(f"{root}/{manifest['files'][0]['object']}", b"fir")
    with pytest.raises(FileNotFoundError, match="not what its manifest says"):
        store.fetch(PLACE, tmp_path / "other")
    assert not (tmp_path / "other" / PLACE).exists()


def test_all_partitions_of_some_weeks_are_fetched(store, tmp_path):
    folder = local(tmp_path / "one", "first")
    for place in (PLACE, PLACE.replace("11-09", "11-02"), "responses/week=2026-11-09/classifier=topic"):
        store.publish(folder, place)
    store.fetch_all(["labels", "never_written"], tmp_path / "other", ["2026-11-09"])
    found = [path.relative_to(tmp_path / "other") for path in (tmp_path / "other").rglob("part-00000.parquet")]
    assert [str(path.parent) for path in found] == [PLACE]


def test_a_file_is_put_in_its_place_and_nothing_stays_aside(store, tmp_path):
    page = tmp_path / "report.html"
    for content in ("old", "new"):
        page.write_text(content)
        assert store.put_file(page, "weekly_report/report.html") == f"{store.url}/weekly_report/report.html"
    files, root = fsspec.core.url_to_fs(store.url)
    files.invalidate_cache()
    assert files.cat_file(f"{root}/weekly_report/report.html") == b"new"
    assert [path.removeprefix(root) for path in files.find(root)] == ["/weekly_report/report.html"]


def test_a_protocol_nobody_knows_is_told_with_the_mend(tmp_path):
    with pytest.raises(SettingsError, match="s3://"):
        ObjectStore("nowhere://x").fetch(PLACE, tmp_path)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    def missing(_):
        raise ImportError("no gcsfs here")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(DependencyError, match="pip install gcsfs"):
        ObjectStore("gs://bucket/x").fetch(PLACE, tmp_path)


def test_check_says_whether_the_store_can_be_written_and_read(store, s3, tmp_path):
    settings = Settings.model_construct(**{**dict(Settings()), "storage": str(tmp_path), "object_store": store.url})
    assert [(each.about, each.ok) for each in diagnosis._storage(settings)] == [
        ("storage", True),
        ("object store", True),
    ]
    wrong = Settings.model_construct(**{**dict(settings), "object_store": "s3://no-such-bucket-here/x"})
    finding = list(diagnosis._storage(wrong))[-1]
    assert not finding.ok
    assert "check bucket and credentials" in finding.says

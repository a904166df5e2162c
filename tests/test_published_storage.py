"""Storage in an object store, end to end: one machine prepares and labels, another goes on with what it published."""

from pathlib import Path

import dagster as dg
import duckdb
import fsspec
import pytest

from semtel_dagster.definitions import build_defs
from semtel_dagster.partitions import grid_key
from semtel_dagster.settings import load_settings
from tests.object_storage import s3_server
from tests.pipeline import FIRST_WEEK, conversation, project, run_weeks, table

pytestmark = pytest.mark.slow
SECRET = "zanzibar-lighthouse"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A week, run by a machine whose disk is then forgotten: the bucket's URL and the settings file."""
    folder = tmp_path_factory.mktemp("first")
    with s3_server() as url, pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        storage = f"{url}/telemetry"
        settings = project(folder, [conversation(n, f"{SECRET} {n}", "answer") for n in range(20)], storage=storage)
        outcomes = run_weeks(settings)
        assert [outcome.error for outcome in outcomes] == [None] * len(outcomes)
        yield storage, folder / "semtel.yaml", settings


def other_machine(file, folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "other"))
    return load_settings(file)


def test_work_goes_on_in_a_local_folder(published):
    storage, _, settings = published
    assert settings.object_store == storage
    assert "://" not in settings.storage


def test_every_table_the_report_and_the_warehouse_are_published(published):
    files, root = fsspec.core.url_to_fs(published[0])
    files.invalidate_cache()
    found = [path.removeprefix(f"{root}/") for path in files.find(root)]
    tables = {path.split("/")[0] for path in found if "/part-" in path}
    assert len(tables) == 10
    assert f"weekly_report/week={FIRST_WEEK}/report.html" in found
    assert "semtel.duckdb" in found


def test_another_machine_goes_on_with_the_tables(published, tmp_path, monkeypatch):
    settings = other_machine(published[1], tmp_path, monkeypatch)
    job = build_defs(settings).resolve_implicit_global_asset_job_def()
    labels = grid_key(FIRST_WEEK, settings.classifiers[0])
    with dg.DagsterInstance.ephemeral() as instance:
        for key, asset in ((labels, "label_shares"), (FIRST_WEEK, "weekly_report")):
            done = job.execute_in_process(
                partition_key=key, asset_selection=[dg.AssetKey(asset)], instance=instance, raise_on_error=True
            )
            assert done.success
    assert table(settings, "label_shares").equals(table(published[2], "label_shares"))
    assert Path(settings.storage, "weekly_report", f"week={FIRST_WEEK}", "report.html").is_file()


def test_the_published_warehouse_needs_no_other_file_and_holds_no_text(published, tmp_path):
    storage = published[0]
    files, root = fsspec.core.url_to_fs(storage)
    files.get_file(f"{root}/semtel.duckdb", str(tmp_path / "w.duckdb"))
    with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True) as connection:
        assert connection.sql("FROM label_shares WHERE segment = 'all'").fetchall()
        assert connection.sql("SHOW TABLES").fetchall() == [("label_shares",)]
    assert SECRET.encode() not in (tmp_path / "w.duckdb").read_bytes()

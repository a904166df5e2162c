"""A partition's folder is replaced whole or not at all."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from semtel_dagster.datasets import WRITING, partition_folder, replaced_folder


def write(folder, storage, content, parts=1):
    with replaced_folder(folder, storage) as staging:
        for part in range(parts):
            (staging / f"part-{part:05}.parquet").write_text(content)


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_layout_is_by_week_and_classifier():
    folder = partition_folder("/s", "labels", "2026-11-09", "topic")
    assert str(folder) == "/s/labels/week=2026-11-09/classifier=topic"


def test_new_content_takes_the_place_of_old(tmp_path):
    folder = partition_folder(str(tmp_path), "labels", "2026-11-09")
    write(folder, tmp_path, "old", parts=3)
    write(folder, tmp_path, "new")
    assert content(folder) == {"part-00000.parquet": "new"}
    assert list((tmp_path / WRITING).iterdir()) == []


def test_a_writer_that_fails_leaves_the_old_content(tmp_path):
    folder = partition_folder(str(tmp_path), "labels", "2026-11-09")
    write(folder, tmp_path, "old")

    def fail():
        with replaced_folder(folder, tmp_path) as staging:
            (staging / "part-00000.parquet").write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fail()
    assert content(folder) == {"part-00000.parquet": "old"}


def test_a_reader_always_finds_one_whole_version_while_a_writer_is_killed(tmp_path):
    """A process rewrites a partition as fast as it can; it is killed at many moments; no state in between is seen."""
    folder = partition_folder(str(tmp_path), "labels", "2026-11-09")
    write(folder, tmp_path, "0", parts=2)
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from semtel_dagster.datasets import replaced_folder
        n = 0
        while True:
            n += 1
            with replaced_folder(Path({str(folder)!r}), Path({str(tmp_path)!r})) as staging:
                for part in range(2):
                    (staging / f"part-{{part:05}}.parquet").write_text(str(n))
        """
    )
    for pause in (0.0, 0.01, 0.05, 0.1):
        writer = subprocess.Popen([sys.executable, "-c", script])
        try:
            while content(folder)["part-00000.parquet"] in {"0", "seen"}:
                time.sleep(0.005)
            time.sleep(pause)
        finally:
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
        versions = content(folder)
        assert set(versions) == {"part-00000.parquet", "part-00001.parquet"}
        assert len(set(versions.values())) == 1
        write(folder, tmp_path, "seen", parts=2)

import gzip
import sys

import pyarrow as pa
import pytest

from semtel_dagster.errors import DependencyError, SourceError
from semtel_dagster.sources.files import find_files


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def found(path):
    return [(file.name, file.kind) for file in find_files(str(path))]


def test_a_folder_stands_for_its_files_of_known_kinds(tmp_path):
    touch(tmp_path, "b.parquet", "a/c.jsonl.gz", "LICENSE", "_tmp/d.csv", ".e.csv", "f.ndjson.zst", "g.parquet.gz")
    assert found(tmp_path) == [("c.jsonl.gz", "jsonl"), ("b.parquet", "parquet"), ("f.ndjson.zst", "jsonl")]


def test_a_glob_and_a_path_stand_for_what_they_name(tmp_path):
    touch(tmp_path, "a.csv", "b.csv", "c.txt")
    assert found(tmp_path / "*.csv") == [("a.csv", "csv"), ("b.csv", "csv")]
    assert found(tmp_path / "c.txt") == [("c.txt", "unknown")]
    assert found(f"file://{tmp_path}/a.csv") == [("a.csv", "csv")]


def test_a_name_with_glob_characters_is_found_as_it_stands(tmp_path):
    touch(tmp_path, "a[1].csv")
    assert found(tmp_path / "a[1].csv") == [("a[1].csv", "csv")]


def test_an_object_store_is_read_by_its_url():
    import fsspec

    with fsspec.open("memory://bucket/day/a.jsonl.gz", "wb") as stream:
        stream.write(gzip.compress(b"{}\n"))
    (file,) = find_files("memory://bucket/*/*.gz")
    assert file.url.startswith("memory://")
    with file.open() as stream:
        assert stream.read() == b"{}\n"


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_text_is_decompressed_by_its_ending_in_several_frames(tmp_path, codec):
    path = tmp_path / {"gzip": "a.jsonl.gz", "zstd": "a.jsonl.zst"}[codec]
    frames = [pa.compress(text, codec, asbytes=True) for text in (b"one\ntw", b"o\n")]
    path.write_bytes(b"".join(frames))
    with find_files(str(path))[0].open() as stream:
        assert list(stream) == [b"one\n", b"two\n"]


def test_nothing_found_says_what_where_and_the_mend(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    with pytest.raises(SourceError) as caught:
        find_files(str(tmp_path / "data" / "logs" / "*.parquet"))
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "logs/*.parquet' matches no file",
        f"working folder {tmp_path}",
        f"nearest existing folder {tmp_path}/data",
    ):
        assert part in message


def test_an_empty_folder_is_nothing(tmp_path):
    with pytest.raises(SourceError, match="matches no file"):
        find_files(str(tmp_path))


def test_an_unknown_protocol_is_an_error_of_the_source():
    with pytest.raises(SourceError, match="no known protocol"):
        find_files("gopher://hole/a.csv")


def test_a_protocol_without_its_package_names_the_package(monkeypatch):
    monkeypatch.setattr(sys.modules["fsspec.registry"], "_registry", {})  # nobody has loaded it before
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(DependencyError, match="s3fs"):
        find_files("s3://bucket/a.csv")

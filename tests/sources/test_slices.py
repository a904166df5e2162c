"""A large Parquet file in slices holds its rows once, in their order and under their positions."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semtel_dagster.settings import SourceSettings
from semtel_dagster.sources import parts, slices
from semtel_dagster.sources.files import SourceFile, find_files
from semtel_dagster.sources.slices import sliced
from semtel_dagster.sources.weeks import ReadWeek
from tests.sources.builders import WEEK, row, write_lines
from tests.sources.test_parts import Apart, PolarsEngine, tables


def parquet(folder, rows=10, group_rows=2, name="all.parquet"):
    given = [row(number, messages=[] if number == 3 else row()["messages"]) for number in range(rows)]
    pq.write_table(pa.Table.from_pylist(given), folder / name, row_group_size=group_rows)
    return find_files(str(folder))


@pytest.mark.parametrize(
    ("slice_bytes", "expected"),
    [(1, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]), (10**9, [None])],
)
def test_slices_are_runs_of_row_groups_that_cover_the_file(tmp_path, slice_bytes, expected):
    assert [part.groups for part in sliced(parquet(tmp_path), slice_bytes)] == expected


def test_a_last_slice_may_be_small(tmp_path):
    files = parquet(tmp_path, rows=9, group_rows=3)
    size = pq.ParquetFile(files[0].url).metadata.row_group(0).total_byte_size
    assert [part.groups for part in sliced(files, size + 1)] == [(0, 2), (2, 3)]


def test_other_files_stay_whole_and_in_order(tmp_path):
    write_lines(tmp_path / "a.jsonl", [row(100)])
    (tmp_path / "b.parquet").write_bytes(b"PAR1 half a file")
    files = parquet(tmp_path, name="c.parquet", group_rows=5)
    assert [(part.name, part.groups) for part in sliced(files, 1)] == [
        ("a.jsonl", None),
        ("b.parquet", None),
        ("c.parquet", (0, 1)),
        ("c.parquet", (1, 2)),
    ]


def test_of_many_files_no_footer_is_read():
    files = [SourceFile(f"memory://nowhere/{number}.parquet", "parquet") for number in range(slices.FEW_FILES)]
    assert sliced(files, 1) == files


def test_a_week_read_in_slices_is_the_week(tmp_path, monkeypatch):
    parquet(tmp_path, rows=12, group_rows=2)
    monkeypatch.setattr(parts, "sliced", lambda files: sliced(files, 1))
    reader = ReadWeek(SourceSettings(path=str(tmp_path)), WEEK)
    assert len(reader.parts()) == 6
    accepted, rejected = tables(reader, Apart())
    assert len(accepted) == 11
    assert [(item["position"], item["conversation_id"]) for item in rejected] == [(4, "c3")]
    assert [accepted, rejected] == tables(reader, PolarsEngine())


def test_an_id_that_stands_in_two_slices_is_good_in_the_first(tmp_path, monkeypatch):
    given = [row(1), row(2), row(1, user_id="later")]
    pq.write_table(pa.Table.from_pylist(given), tmp_path / "all.parquet", row_group_size=1)
    monkeypatch.setattr(parts, "sliced", lambda files: sliced(files, 1))
    reader = ReadWeek(SourceSettings(path=str(tmp_path)), WEEK)
    accepted, rejected = tables(reader, Apart())
    assert [(item["conversation_id"], item["user_id"]) for item in accepted] == [("c1", "u1"), ("c2", "u1")]
    assert [(item["position"], item["reason"]) for item in rejected] == [(3, "duplicate_id")]

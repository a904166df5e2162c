"""A week read in parts, and brought together, holds the rows that reading it as a whole gives."""

import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.errors import SourceError
from semtel_dagster.settings import SourceSettings
from semtel_dagster.sources.parts import READ_IN_PARTS, week_parts
from semtel_dagster.sources.weeks import ReadWeek
from semtel_dagster.stages.conversations import read
from tests.sources.builders import WEEK, row, write_lines
from tests.stages.builders import rows_of


class Apart(PolarsEngine):
    """Polars that claims to be a cluster: stages take the ways that only a cluster takes otherwise."""

    distributed = True


def source_of(*files, folder):
    for number, rows in enumerate(files):
        write_lines(folder / f"{number:03}.jsonl", rows)
    return ReadWeek(SourceSettings(path=str(folder)), WEEK)


def tables(reader, engine):
    found = read(reader, engine)
    return [sorted(rows_of(frame), key=str) for frame in (found.accepted, found.rejected)]


kinds = st.sampled_from([{}, {"messages": []}, {"started_at": "2026-11-17"}, {"started_at": None}])
rows = st.builds(lambda number, user, kind: row(number, user_id=user, **kind), st.integers(0, 4), st.text("ab"), kinds)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(rows, max_size=5), min_size=1, max_size=4))
def test_of_rows_with_one_id_the_first_good_one_stays_whichever_files_they_stand_in(tmp_path_factory, files):
    reader = source_of(*files, folder=tmp_path_factory.mktemp("source"))
    assert tables(reader, Apart()) == tables(reader, PolarsEngine())


def test_a_part_is_a_file_in_the_source_s_order(tmp_path):
    reader = source_of([row(1)], [row(2), row(3)], [row(4)], folder=tmp_path)
    parts = reader.parts()
    assert [[item["conversation_id"] for batch in part() for item in batch.to_pylist()] for part in parts] == [
        ["c1"],
        ["c2", "c3"],
        ["c4"],
    ]
    assert [{number for batch in part() for number in batch.column("part").to_pylist()} for part in parts] == [
        {0},
        {1},
        {2},
    ]
    assert all(batch.schema == READ_IN_PARTS for part in parts for batch in part())


def test_very_many_files_share_parts_without_changing_their_order(tmp_path):
    reader = source_of(*([row(number)] for number in range(11)), folder=tmp_path)
    parts = week_parts(reader.source, WEEK, most=4)
    assert [len(part.files) for part in parts] == [2, 3, 3, 3]
    assert [file.name for part in parts for file in part.files] == [f"{number:03}.jsonl" for number in range(11)]


def test_a_part_can_travel(tmp_path):
    (part,) = source_of([row(1)], folder=tmp_path).parts()
    assert list(pickle.loads(pickle.dumps(part))()) == list(part())


def test_a_file_that_cannot_be_read_beside_good_ones_is_a_rejected_row_in_parts_too(tmp_path):
    reader = source_of([row(1)], [row(2)], folder=tmp_path)
    (tmp_path / "000.parquet").write_bytes(b"PAR1 half a file")
    accepted, rejected = tables(reader, Apart())
    assert [item["conversation_id"] for item in accepted] == ["c1", "c2"]
    assert [(item["source"], item["reason"]) for item in rejected] == [("000.parquet", "unreadable_file")]
    assert [accepted, rejected] == tables(reader, PolarsEngine())


def test_where_no_file_can_be_read_there_is_the_same_error_and_at_once(tmp_path):
    for name in ("a.parquet", "b.parquet"):
        (tmp_path / name).write_bytes(b"PAR1 half a file")
    reader = ReadWeek(SourceSettings(path=str(tmp_path)), WEEK)
    with pytest.raises(SourceError) as whole:
        list(reader())
    with pytest.raises(SourceError) as apart:
        reader.parts()
    assert str(apart.value) == str(whole.value)


def test_a_source_whose_files_are_empty_is_no_error(tmp_path):
    pq.write_table(pa.table({"started_at": pa.array([], pa.timestamp("us", "UTC"))}), tmp_path / "a.parquet")
    reader = ReadWeek(SourceSettings(path=str(tmp_path)), WEEK)
    assert tables(reader, Apart()) == tables(reader, PolarsEngine()) == [[], []]

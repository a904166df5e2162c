"""What a stage may rely on, whichever engine runs it: Polars, Spark in this process, a cluster, or Spark Connect."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from pathlib import Path

import narwhals as nw
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from tests.engines.row_functions import (
    EVERYTHING,
    ROWS,
    RUNS,
    SEEN,
    CountRows,
    CountTasks,
    Generate,
    Numbers,
    everything,
    runs_of_names,
    tell_schema,
    too_narrow,
    unchanged,
)
from tests.engines.written import POLARS, SOME, rows_of, written

# Row functions


def test_a_row_function_sees_the_same_types_on_every_engine(engine, tmp_path):
    source = engine.from_arrow(pa.Table.from_batches([everything()]))
    found = rows_of(engine, engine.map_batches(source, tell_schema, SEEN), tmp_path / "t")
    assert found["id"].to_list() == ["a", "b", "c"]
    assert set(found["schema"]) == {"; ".join(f"{field.name}: {field.type} True" for field in EVERYTHING)}


def test_a_row_function_sees_the_same_types_in_a_scanned_table(engine, tmp_path):
    folder = written(
        POLARS, POLARS.from_arrow(pa.Table.from_batches([everything()])), tmp_path / "t" / "week=2026-11-09"
    )
    found = rows_of(engine, engine.map_batches(engine.scan([str(folder)]), tell_schema, SEEN), tmp_path / "seen")
    expected = "; ".join(f"{field.name}: {field.type} True" for field in [*EVERYTHING, pa.field("week", pa.date32())])
    assert set(found["schema"]) == {expected}


def test_values_of_every_type_come_through_a_row_function_as_they_were(engine, tmp_path):
    twice = engine.map_batches(engine.from_batches(Generate(), EVERYTHING), unchanged, EVERYTHING)
    found = rows_of(engine, twice.sort("id"), tmp_path / "t")
    assert found.to_dicts() == ROWS
    assert found.schema == pl.DataFrame(everything()).schema


def test_a_row_function_over_no_rows_gives_a_frame_without_rows(engine, tmp_path):
    nothing = engine.from_batches(Generate(()), EVERYTHING)
    found = rows_of(engine, engine.map_batches(nothing, unchanged, EVERYTHING), tmp_path / "t")
    assert found.height == 0
    assert found.schema == pl.DataFrame(everything()).schema


def test_a_row_function_that_breaks_its_promise_is_an_error(engine, tmp_path):
    frame = engine.map_batches(engine.from_batches(Generate(), EVERYTHING), too_narrow, SEEN)
    with pytest.raises(Exception, match=re.compile("schema", re.IGNORECASE)):
        rows_of(engine, frame, tmp_path / "t")


def test_a_row_function_runs_once_per_row_though_its_result_is_sorted(engine, tmp_path):
    runs = 1 if engine.distributed else 2  # Polars runs a source once per result that is written
    (tmp_path / "calls").mkdir()
    numbers = engine.from_batches(Numbers(5000), Numbers.schema)
    counted = engine.map_batches(numbers, CountRows(str(tmp_path / "calls")), Numbers.schema)
    written(engine, counted.sort("name"), tmp_path / "t")
    written(engine, counted.filter(nw.col("number") < 10), tmp_path / "u")
    assert sum(int(path.name.split("-")[0]) for path in (tmp_path / "calls").iterdir()) == 5000 * runs


def test_a_second_run_over_replaced_files_sees_the_new_rows(engine, tmp_path):
    folder = tmp_path / "t" / "week=2026-11-09"
    sizes = []
    for rows in (3, 1):
        shutil.rmtree(folder, ignore_errors=True)
        written(POLARS, POLARS.from_arrow(pa.Table.from_batches([everything(ROWS[:rows])])), folder)
        described = engine.map_batches(engine.scan([str(folder)]), tell_schema, SEEN)
        sizes.append(rows_of(engine, described, tmp_path / f"seen-{rows}").height)
    assert sizes == [3, 1]


# Sources


def test_a_generator_s_rows_keep_their_order(engine, tmp_path):
    found = rows_of(engine, engine.from_batches(Numbers(10_000), Numbers.schema), tmp_path / "t")
    assert found["number"].to_list() == list(range(10_000))


@pytest.mark.parametrize("rows", [5, 0])
def test_a_small_table_becomes_a_frame(engine, tmp_path, rows):
    found = rows_of(engine, engine.from_arrow(SOME.slice(0, rows)), tmp_path / "t")
    assert found.equals(pl.DataFrame(SOME.slice(0, rows)))


def test_a_scan_has_typed_partition_columns_after_the_table_s_own(engine, tmp_path):
    folders = [tmp_path / "labels" / f"week=2026-11-{day:02}" / "classifier=12" for day in (9, 16)]
    for folder in folders:
        written(POLARS, POLARS.from_arrow(SOME), folder)
    frame = engine.scan([str(folder) for folder in folders])
    found = rows_of(engine, frame.rename({"week": "w", "classifier": "c"}), tmp_path / "t")
    assert found.columns == ["id", "user", "weight", "n", "w", "c"]
    assert found.schema["w"] == pl.Date
    assert found.group_by("w", "c").len().sort("w").rows() == [
        (dt.date(2026, 11, 9), "12", 5),
        (dt.date(2026, 11, 16), "12", 5),
    ]


def test_a_scan_passes_over_folders_without_parts_but_not_over_all(engine, tmp_path):
    folder = written(POLARS, POLARS.from_arrow(SOME), tmp_path / "t" / "week=2026-11-09")
    missing = str(tmp_path / "t" / "week=2026-11-16")
    assert rows_of(engine, engine.scan([str(folder), missing]), tmp_path / "u").height == 5
    with pytest.raises(Exception, match=r"empty|no Parquet parts"):
        engine.scan([missing]).collect_schema()


def test_a_folder_s_name_may_hold_anything(engine, tmp_path):
    folder = written(POLARS, POLARS.from_arrow(SOME), tmp_path / "my data, {1} é" / "week=2026-11-09")
    assert rows_of(engine, engine.scan([str(folder)]), tmp_path / "a b" / "u").height == 5


# Written tables


def test_a_written_folder_holds_parts_and_nothing_else(engine, tmp_path):
    folder = written(engine, engine.from_batches(Numbers(3000), Numbers.schema).sort("name"), tmp_path / "t")
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"part-{number:05}.parquet" for number in range(len(names))]
    assert names


def test_parts_are_zstd_with_times_as_microseconds(engine, tmp_path):
    frame = engine.from_batches(Generate(), EVERYTHING)
    (part, *_) = sorted(written(engine, frame, tmp_path / "t").iterdir())
    stored = pq.ParquetFile(part)
    assert {stored.metadata.row_group(0).column(index).compression for index in range(stored.metadata.num_columns)} == {
        "ZSTD"
    }
    at = stored.schema.column(1)
    assert (at.physical_type, at.logical_type.type) == ("INT64", "TIMESTAMP")
    assert "timeUnit=microseconds" in str(at.logical_type)


def test_a_table_s_parts_hold_its_sorted_rows_in_order(engine, tmp_path):
    frame = engine.map_batches(
        engine.from_batches(Numbers(9000), Numbers.schema), CountRows(str(tmp_path)), Numbers.schema
    )
    folder = written(engine, frame.sort("name", "number"), tmp_path / "t")
    parts = pl.concat([pl.read_parquet(path) for path in sorted(folder.iterdir())])
    assert parts.equals(parts.sort("name", "number"))
    assert parts.height == 9000


def test_rows_sorted_by_hash_are_all_rows_in_order(engine, tmp_path):
    sorted_rows = engine.sort_by_hash(engine.from_batches(Numbers(3000), Numbers.schema), "name")
    found = rows_of(engine, sorted_rows, tmp_path / "t")
    assert_frame_equal(found, pl.concat(map(pl.DataFrame, Numbers(3000)())).sort("name"))


def test_matching_gives_the_rows_that_have_a_partner_with_its_columns(engine, tmp_path):
    numbers = engine.from_batches(Numbers(3000), Numbers.schema)
    few = numbers.filter(nw.col("number") % 7 == 0).select("name", "number", twice=nw.col("number") * 2)
    found = rows_of(engine, engine.match(numbers, few, ["name", "number"]), tmp_path / "t").sort("number")
    assert found["number"].to_list() == list(range(0, 3000, 7))
    assert (found["twice"] == found["number"] * 2).all()


def test_partition_columns_are_in_the_path_only(engine, tmp_path):
    folder = written(POLARS, POLARS.from_arrow(SOME), tmp_path / "t" / "week=2026-11-09" / "classifier=topic")
    again = written(engine, engine.scan([str(folder)]), tmp_path / "u")
    assert pl.read_parquet(again / "*.parquet", hive_partitioning=False).columns == SOME.column_names


def test_what_one_engine_writes_the_other_reads_to_the_last_type(engine, tmp_path):
    by_polars = written(POLARS, POLARS.from_batches(Generate(), EVERYTHING), tmp_path / "p" / "week=2026-11-09")
    by_engine = written(engine, engine.scan([str(by_polars)]).sort("id"), tmp_path / "e" / "week=2026-11-09")
    back = rows_of(POLARS, POLARS.scan([str(by_engine)]), tmp_path / "back")
    assert back.to_dicts() == ROWS
    assert back.schema == pl.DataFrame(everything()).schema
    assert arrow_schema(by_engine) == arrow_schema(by_polars)


def arrow_schema(folder: Path):
    return [(field.name, field.type, field.nullable) for field in pq.read_schema(folder / "part-00000.parquet")]


# Spreading: many tasks, whatever the files


def test_generators_in_parts_give_what_one_generator_gives(engine, tmp_path):
    whole = engine.from_batches(Generate((2, 0, 1)), EVERYTHING)
    parts = engine.from_parts([Generate((2,)), Generate(()), Generate((0, 1))], EVERYTHING)
    expected, found = (rows_of(engine, frame, tmp_path / name) for name, frame in (("w", whole), ("p", parts)))
    assert_frame_equal(found, expected)


def test_spread_rows_are_the_same_rows(engine, tmp_path):
    numbers = engine.from_batches(Numbers(3000), Numbers.schema)
    found = rows_of(engine, engine.spread(numbers, "name"), tmp_path / "t")
    assert_frame_equal(found.sort("number"), pl.concat(map(pl.DataFrame, Numbers(3000)())))


def test_a_row_function_meets_the_rows_of_a_key_together_and_in_order(engine, tmp_path):
    numbers = engine.from_batches(Numbers(20_000), Numbers.schema)
    keyed = numbers.with_columns(name=nw.col("name").str.slice(0, 3)).select("number", "name")
    together = engine.spread(keyed, "name", order=["number"])
    runs = rows_of(engine, engine.map_batches(together, runs_of_names, RUNS), tmp_path / "t")
    assert runs.height == runs["name"].n_unique() == 11
    assert runs["rows"].sum() == 20_000
    assert runs["sorted"].all()


def test_rows_of_one_file_are_spread_over_all_tasks(engine, tmp_path):
    folder = written(POLARS, POLARS.from_batches(Numbers(2000), Numbers.schema), tmp_path / "one")
    spread = engine.spread(engine.scan([str(folder)]), "name")
    rows_of(engine, engine.map_batches(spread, CountTasks(str(tmp_path)), Numbers.schema), tmp_path / "t")
    assert len(list(tmp_path.glob("task-*"))) == engine.tasks
    assert (engine.tasks > 1) == engine.distributed

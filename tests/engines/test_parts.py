"""Parts are written in row groups of bounded size, whatever the batches that the rows come in."""

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semtel_dagster.engines import parts
from semtel_dagster.engines.parts import write_part
from semtel_dagster.engines.polars import PolarsEngine

SCHEMA = pa.schema([("text", pa.large_string())])


def batches(*sizes):
    return [pa.record_batch([pa.array(["x" * 1000] * size, pa.large_string())], schema=SCHEMA) for size in sizes]


def groups(path):
    metadata = pq.read_metadata(path)
    return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((), []), ((10,), [10]), ((100, 100, 100), [100, 100, 100]), ((40,) * 6, [120, 120]), ((40, 40), [80])],
)
def test_a_group_ends_with_the_batch_that_fills_it(tmp_path, monkeypatch, sizes, expected):
    monkeypatch.setattr(parts, "ROW_GROUP_BYTES", 95_000)
    write_part(batches(*sizes), SCHEMA, str(tmp_path / "part.parquet"))
    assert groups(tmp_path / "part.parquet") == expected
    assert pq.read_table(tmp_path / "part.parquet").num_rows == sum(sizes)


def test_a_part_without_rows_keeps_its_schema(tmp_path):
    write_part([], SCHEMA, str(tmp_path / "part.parquet"))
    assert pq.read_schema(tmp_path / "part.parquet") == SCHEMA


def test_polars_writes_long_texts_in_small_groups_and_figures_in_large_ones(tmp_path):
    engine = PolarsEngine()
    for name, frame in {
        "texts": pl.LazyFrame({"text": ["word " * 1200] * 5000}),
        "figures": pl.LazyFrame({"number": range(50_000)}),
    }.items():
        (tmp_path / name).mkdir()
        engine.write(engine.from_arrow(frame.collect().to_arrow()), str(tmp_path / name))
    assert max(groups(tmp_path / "texts" / "part-00000.parquet")) <= 3 * 1024
    assert groups(tmp_path / "figures" / "part-00000.parquet") == [50_000]

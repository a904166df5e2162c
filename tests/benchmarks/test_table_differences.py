"""Two stored tables are told apart by types, rows, order and values, and no text of theirs is told."""

import polars as pl
import pytest

from benchmarks.table_differences import Comparison, compare

ROWS = pl.DataFrame(
    {"id": ["a", "b", "c"], "text": ["x", None, "z"], "share": [0.1, None, 0.3], "took_s": [1.0, 2.0, 3.0]}
)


@pytest.fixture
def against(tmp_path):
    """The comparison of ROWS with other rows."""

    def compared(*parts, **options):
        for name, tables in {"expected": [ROWS], "found": parts}.items():
            (tmp_path / name).mkdir()
            for number, table in enumerate(tables):
                table.write_parquet(tmp_path / name / f"part-{number:05}.parquet")
        return compare(tmp_path / "expected", tmp_path / "found", ["id"], **{"ordered": True} | options)

    return compared


def test_a_table_in_two_parts_is_equal(against):
    assert against(ROWS.head(2), ROWS.tail(1)) == Comparison(3)


def test_another_order_is_a_difference_where_one_is_promised(against):
    assert against(ROWS.reverse()).difference == "id: 2 rows, the first is a"


def test_another_order_is_none_where_none_is_promised(against):
    assert against(ROWS.reverse(), ordered=False) == Comparison(3)


def test_a_value_is_told_by_its_row_s_key_and_not_by_itself(against):
    found = against(ROWS.with_columns(text=pl.when(id="a").then(pl.lit("x")).otherwise(pl.lit("secret"))))
    assert found.difference == "text: 2 rows, the first is b"


def test_a_null_is_no_value(against):
    assert (
        against(ROWS.with_columns(share=pl.col("share").fill_null(0.0))).difference == "share: 1 rows, the first is b"
    )


@pytest.mark.parametrize(("factor", "difference"), [(1 + 5e-10, None), (1 + 5e-9, "share: 2 rows, the first is a")])
def test_numbers_may_differ_in_their_last_digits(against, factor, difference):
    found = against(ROWS.with_columns(share=pl.col("share") * factor))
    assert found.difference == difference
    assert found.rounded == (2 if difference is None else 0)


def test_what_a_run_measured_may_differ_(against):
    assert against(ROWS.with_columns(took_s=pl.col("took_s") + 1), ignored=["took_s"]) == Comparison(3)


def test_an_ignored_column_s_type_counts(against):
    found = against(ROWS.with_columns(pl.col("took_s").cast(pl.Float32)), ignored=["took_s"])
    assert found.difference == "types: took_s double, took_s float"


def test_one_part_of_another_type_is_found(against):
    found = against(ROWS.head(2), ROWS.tail(1).with_columns(pl.col("share").cast(pl.Float32)))
    assert found.difference == "types: share double, share float"


def test_a_missing_row_is_found(against):
    assert against(ROWS.head(2)).difference == "2 rows"

"""Frame logic: the same Narwhals expressions give the same rows on every engine."""

from __future__ import annotations

import narwhals as nw
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from tests.engines.written import POLARS, SOME, rows_of

USERS = pa.table({"user": pa.array(["x", "z", None], pa.large_string()), "name": pa.array(["X", "Z", "?"])})
EXPRESSIONS = {
    "filter": lambda some, users: some.filter(nw.col("weight") > 1.5),
    "filter on nulls": lambda some, users: some.filter(nw.col("user").is_null() | ~nw.col("n").is_null()),
    "inner join": lambda some, users: some.join(users, on="user", how="inner"),
    "left join": lambda some, users: some.join(users, on="user", how="left"),
    "semi join": lambda some, users: some.join(users, on="user", how="semi"),
    "anti join": lambda some, users: some.join(users, on="user", how="anti"),
    "cross join": lambda some, users: some.join(users.select("name"), how="cross"),
    "group by": lambda some, users: some.group_by("user").agg(
        nw.col("weight").sum(),
        nw.col("n").max(),
        nw.len().cast(nw.Int64).alias("rows"),
        nw.col("id").n_unique().cast(nw.Int64).alias("ids"),
    ),
    "over": lambda some, users: some.with_columns(
        nw.col("weight").sum().over("user").alias("total"), nw.len().over("user").cast(nw.Int64).alias("rows")
    ),
    "ordered over": lambda some, users: some.with_columns(
        nw.col("n").cum_sum().over("user", order_by="id").alias("running")
    ),
    "when": lambda some, users: some.with_columns(
        size=nw.when(nw.col("n").is_null())
        .then(nw.lit("none"))
        .when(nw.col("n") > 3)
        .then(nw.lit("big"))
        .otherwise(nw.lit("small"))
    ),
    "concat": lambda some, users: nw.concat([some.select("user"), users.select("user")]),
    "unique": lambda some, users: some.select("user").unique(),
    "strings": lambda some, users: some.select(
        "id", key=nw.concat_str(nw.lit("u:"), nw.col("user")), size=nw.col("user").str.len_chars().cast(nw.Int64)
    ),
    "sort with nulls": lambda some, users: some.sort("user", "id"),
    "casts": lambda some, users: some.select("id", nw.col("n").cast(nw.Float64) / 3, nw.col("weight").cast(nw.Int32)),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_frame_logic_gives_the_rows_that_polars_gives(engine, tmp_path, name):
    expected, found = (
        rows_of(each, EXPRESSIONS[name](each.from_arrow(SOME), each.from_arrow(USERS)), tmp_path / folder)
        for each, folder in ((POLARS, "expected"), (engine, "found"))
    )
    if name != "sort with nulls":
        expected, found = (rows.sort(*rows.columns) for rows in (expected, found))
    assert_frame_equal(found, expected, rel_tol=1e-15 * 4)  # Polars divides by a constant by multiplying

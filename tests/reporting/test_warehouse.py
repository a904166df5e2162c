import datetime as dt

import duckdb

from semtel_dagster.reporting.warehouse import refresh_warehouse
from tests.reporting.synthetic import Synthetic


def ask(path, question):
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(question).fetchall()


def test_every_table_can_be_asked_and_counts(stored):
    path = refresh_warehouse(stored.storage)
    assert ask(path, "select week, count(*) from conversations group by week order by week")[0] == (
        stored.weeks[0],
        400,
    )
    assert ask(path, "select typeof(week), typeof(classifier) from labels limit 1") == [("DATE", "VARCHAR")]
    (total,) = ask(path, "select sum(n) from label_shares where task = 'topic' and segment = 'all'")
    assert total == ask(path, "select count(*) from labels where classifier = 'topic'")[0]


def test_missing_tables_are_left_out_and_an_empty_storage_is_an_empty_warehouse(tmp_path):
    assert ask(refresh_warehouse(str(tmp_path / "new")), "show tables") == []


def test_a_refresh_takes_the_place_of_the_old_file_and_leaves_nothing_else(tmp_path):
    folder = tmp_path / "it's a storage"
    Synthetic(weeks=1, conversations=30).write(folder)
    refresh_warehouse(str(folder))
    Synthetic(weeks=2, conversations=30, seed=1)._write_week(str(folder), dt.date(2026, 10, 12), 1)
    path = refresh_warehouse(str(folder))
    assert ask(path, "select count(distinct week) from label_shares") == [(2,)]
    assert [each.name for each in folder.iterdir() if each.is_file()] == ["semtel.duckdb"]

import polars as pl

from semtel_dagster.estimation.suppression import hidden_cells
from semtel_dagster.reporting.crosstables import OTHERS, cross_tables
from semtel_dagster.settings import AggregateSettings
from tests.reporting.synthetic import PROMPTS, TOPICS


def tables(stored, options):
    return cross_tables(stored.storage, stored.weeks[-1], PROMPTS, options, hidden_cells)


def test_the_widest_task_is_crossed_with_the_ordered_ones_scored_first(stored):
    found = tables(stored, AggregateSettings())
    assert [(t.rows_task.name, t.columns_task.name) for t in found] == [
        ("topic", "satisfaction"), ("topic", "user_expertise"), ("topic", "assistant_expertise")
    ]  # fmt: skip


def test_without_thresholds_each_row_s_shares_add_up_to_one(stored):
    for table in tables(stored, AggregateSettings(min_conversations=1, min_users=1)):
        for row in table.rows:
            cells = [table.cells[row, column] for column in table.columns]
            if all(cell.n is not None for cell in cells):
                assert abs(sum(cell.share for cell in cells) - 1) < 1e-9


def test_rows_without_a_shown_cell_are_taken_together_and_nobody_is_lost(stored):
    (table, *_) = tables(stored, AggregateSettings())
    assert table.rows[-1] == OTHERS
    assert len(table.rows) < len(TOPICS)
    column = [table.cells[row, "satisfied"] for row in table.rows]
    assert all(cell.n is not None for cell in column)
    labels = [pl.read_parquet(f"{stored.storage}/labels/week={stored.weeks[-1]}/classifier={name}/*.parquet")
              .drop_nulls("label") for name in ("topic", "satisfaction")]  # fmt: skip
    both = labels[0].join(labels[1].filter(label="satisfied"), on="conversation_id")
    assert sum(cell.n for cell in column) == both.height


def test_a_week_with_too_few_conversations_has_no_table(stored):
    assert tables(stored, AggregateSettings(min_conversations=400)) == ()


def test_no_hidden_cell_stands_alone_in_its_row(stored):
    for table in tables(stored, AggregateSettings()):
        assert table.rows
        for row in table.rows:
            cells = [table.cells[row, column] for column in table.columns]
            assert sum(cell.n is None for cell in cells) != 1
            assert all(cell.n is None or cell.n >= 15 for cell in cells)

import io

from rich.console import Console

from semtel_dagster.estimation.change import changes
from semtel_dagster.reporting.console import run_table, weekly_tables
from tests.reporting.synthetic import SECRET

PARTITION = {
    "week": "2026-11-09", "classifier": "topic", "conversations": 1000, "calls": 900, "refused": 0, "retried": 2,
    "cached": 100, "answered": 990, "invalid": 6, "unanswered": 4, "input_tokens": 1_234_567, "output_tokens": 9_000,
    "cost_usd": 0.1234, "seconds": 3.2,
}  # fmt: skip


def shown(*tables, width=120):
    console = Console(file=io.StringIO(), width=width)
    for table in tables:
        console.print(table)
    return console.file.getvalue()


def test_the_newest_week_is_shown_per_classifier_with_the_rows_of_all_weeks(stored):
    text = shown(*weekly_tables(stored.storage, [week.isoformat() for week in stored.weeks], changes))
    for expected in ("topic, week of 26 October 2026", "programming", "user expertise", "▲", "█", "(suppressed)"):
        assert expected in text
    assert all(week.isoformat() in text for week in stored.weeks)
    assert SECRET not in text


def test_no_weeks_no_tables(stored):
    assert weekly_tables(stored.storage, []) == []


def test_a_run_is_told_per_partition_and_in_all_without_empty_columns():
    text = shown(run_table([PARTITION, PARTITION | {"classifier": "intent", "error": "it broke"}]))
    assert "2026-11-09 topic" in text
    assert "2.47" in text
    assert "refused" not in text
    assert "retried" in text


def test_a_long_run_is_told_per_classifier():
    text = shown(run_table([PARTITION | {"week": f"2026-{month:02}-02"} for month in range(1, 13)] * 2))
    assert "2026-" not in text
    assert "24 k" in text.replace("\u202f", " ")

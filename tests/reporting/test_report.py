import datetime as dt

import pytest

from semtel_dagster.reporting.accounting import account_classifier, account_week
from semtel_dagster.reporting.report import build_report
from semtel_dagster.reporting.weekly import report_path, write_report
from semtel_dagster.settings import EndpointSettings, Price, ReportSettings, Settings
from tests.reporting.synthetic import PROMPTS


@pytest.fixture(scope="module")
def report(stored, statistics):
    return build_report(stored.storage, stored.weeks[-1], PROMPTS, Settings(storage=stored.storage), statistics)


def test_a_week_s_rows_add_up(stored):
    row = account_week(stored.storage, stored.weeks[0])
    assert (row.conversations, row.sampled, row.rejected) == (400, 400, {"duplicate id": 3, "no user message": 2})
    assert row.source_rows == 405
    assert row.undated == 1
    assert row.sampled == row.distinct + row.exact_duplicates + row.near_duplicates
    assert row.truncated == 80


def test_a_week_that_has_not_run_has_no_counts(stored):
    row = account_week(stored.storage, dt.date(2020, 1, 6))
    assert (row.conversations, row.source_rows, row.sampled, row.rejected) == (None, None, None, {})


def test_calls_tokens_and_outcomes_of_a_classifier(stored):
    """Of every ten answers one is from the journal, which costs nothing now."""
    price = Price(input=1.0, cached_input=0.5, output=2.0)
    row = account_classifier(
        stored.storage, stored.weeks[0], "topic", [EndpointSettings(name="embedded", kind="embedded", price=price)]
    )
    distinct = account_week(stored.storage, stored.weeks[0]).distinct
    asked = distinct - row.cached
    assert row.cached == -(-distinct // 10)
    assert row.input_tokens == 900 * asked
    assert row.calls == asked + row.refused + row.retried
    assert row.answered + row.invalid + row.unanswered == row.conversations == 400
    assert row.cost_usd == pytest.approx(asked * (600 * 1.0 + 300 * 0.5 + 12 * 2.0) / 1e6)


def test_changes_compare_with_the_week_before_only(report):
    topic = next(each for each in report.classifiers if each.name == "topic").tasks[0]
    assert set(topic.changes) <= {row.label for row in topic.rows}
    assert "(suppressed)" not in topic.changes
    label, change = next(iter(topic.changes.items()))
    share = next(row.share for row in topic.rows if row.label == label)
    assert change.difference == pytest.approx(share - topic.before[label].share)


def test_nominal_labels_come_largest_first_and_ordinal_ones_in_their_order(report):
    tasks = {shares.task.name: shares for each in report.classifiers for shares in each.tasks}
    sizes = [row.share for row in tasks["topic"].rows if not row.label.startswith("(")]
    assert sizes == sorted(sizes, reverse=True)
    order = [label.name for label in tasks["user_expertise"].task.labels]
    found = [row.label for row in tasks["user_expertise"].rows if row.label in order]
    assert found == [label for label in order if label in found]


def test_the_history_is_as_long_as_the_settings_say(stored, statistics):
    settings = Settings(storage=stored.storage, report=ReportSettings(weeks=2))
    report = build_report(stored.storage, stored.weeks[2], PROMPTS, settings, statistics)
    assert [row.week for row in report.history] == stored.weeks[1:3]


def test_the_page_and_the_warehouse_are_written_and_their_figures_told(stored, statistics):
    written = write_report(Settings(storage=stored.storage), stored.weeks[1], PROMPTS, statistics)
    assert written.page == report_path(stored.storage, stored.weeks[1].isoformat())
    assert written.page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [path.name for path in written.page.parent.iterdir()] == ["report.html"]
    assert written.figures["conversations"] == 425

"""What becomes of rows when calls fail: each ends with an answer or its reason, and none is lost."""

import logging

import pyarrow as pa
import pytest

from semtel_dagster.loopback.script import Script
from tests.requests.builders import endpoint, plan, run, texts
from tests.requests.reasons import REASONS

pytestmark = pytest.mark.timeout(60)

QUICK = {"median_s": 0.01, "sigma": 0.3}
FAULTS = {fault: reason for fault, reason in REASONS.items() if fault != "hang"}
OF_THE_ROW = {"filtered_400", "filtered_200", "context_length", "invalid_422"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_strikes_some_calls_costs_no_row(server, tmp_path, fault):
    server.set_script(Script(faults={fault: 0.2}))
    table, _ = run(plan(tmp_path, endpoint(server.base_url)), texts(120))
    rows = table.to_pylist()
    assert len(rows) == 120
    if fault in OF_THE_ROW:
        assert 5 < sum(row["status"] == "failed" for row in rows) < 60
        assert {row["error"] for row in rows if row["status"] == "failed"} == {FAULTS[fault]}
        assert {row["attempts"] for row in rows if row["status"] == "failed"} == {1}
    else:
        assert {row["status"] for row in rows} == {"answered"}


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - OF_THE_ROW))
def test_a_row_that_only_ever_meets_a_fault_ends_with_its_reason(server, tmp_path, fault):
    server.set_script(Script(faults={fault: 1.0}))
    table, _ = run(plan(tmp_path, endpoint(server.base_url), requests={"max_attempts": 2}, give_up_s=2), texts(3))
    assert {(row["status"], row["error"]) for row in table.to_pylist()} == {("failed", FAULTS[fault])}


@pytest.mark.parametrize(("fault", "begins"), [("html_200", "<!DOCTYPE html>"), ("truncated", '{"id":"chatcmpl-')])
def test_a_poisoned_or_truncated_reply_is_kept_raw(server, tmp_path, fault, begins):
    server.set_script(Script(faults={fault: 1.0}))
    table, _ = run(plan(tmp_path, endpoint(server.base_url), requests={"max_attempts": 2}), texts(1))
    assert table["raw_text"][0].as_py().startswith(begins)


def test_an_empty_answer_is_asked_for_once_more_and_then_ends_its_row(server, tmp_path):
    server.set_script(Script(answers={"style": "fixed", "text": ""}))
    table, figures = run(plan(tmp_path, endpoint(server.base_url)), texts(20))
    assert {(row["error"], row["attempts"]) for row in table.to_pylist()} == {("empty_answer (HTTP 200)", 2)}
    assert figures.endpoints[0].fault == ""


def test_rows_that_the_server_always_chokes_on_end_alone(server, tmp_path):
    """They must not make the endpoint look dead: its other rows would wait, and fail with them."""
    server.set_script(Script(latency=QUICK, faults={"error_500": 0.1, "sticky": "all"}))
    server.reset()
    table, figures = run(plan(tmp_path, endpoint(server.base_url), requests={"max_attempts": 3}), texts(300))
    failed = [row for row in table.to_pylist() if row["status"] == "failed"]
    assert len(failed) == server.stats()["faults"]["error_500"] / 3
    assert 10 < len(failed) < 60
    assert {row["error"] for row in failed} == {"server_error (HTTP 500)"}
    assert figures.done == 300


def test_the_rows_own_faults_are_remembered_and_others_are_asked_again(server, tmp_path):
    server.set_script(Script(faults={"filtered_400": 1.0}))
    run(plan(tmp_path / "own", endpoint(server.base_url)), texts(5))
    server.set_script(Script(faults={"error_500": 1.0}))
    run(plan(tmp_path / "other", endpoint(server.base_url), requests={"max_attempts": 1}), texts(5))
    server.set_script(Script())
    own, figures = run(plan(tmp_path / "own", endpoint(server.base_url)), texts(5))
    assert (figures.calls, figures.failed, figures.from_journal) == (0, 5, 5)
    assert set(own["error"].to_pylist()) == {"content_filter (HTTP 400)"}
    _, figures = run(plan(tmp_path / "other", endpoint(server.base_url)), texts(5))
    assert (figures.calls, figures.answered) == (5, 5)


def test_all_faults_together(server, tmp_path):
    shares = dict.fromkeys([*FAULTS, "content_type", "refused_429"], 0.2 / 13)
    server.set_script(Script(latency=QUICK, faults=shares))
    table, figures = run(plan(tmp_path, endpoint(server.base_url)), texts(2000))
    rows = table.to_pylist()
    assert len({row["content_hash"] for row in rows}) == len(rows) == 2000
    assert {row["error"] for row in rows if row["status"] == "failed"} <= {FAULTS[fault] for fault in OF_THE_ROW}
    assert figures.done == 2000


def test_random_refusals_cost_in_proportion(server, tmp_path):
    server.set_script(Script(latency=QUICK))
    _, undisturbed = run(plan(tmp_path / "calm", endpoint(server.base_url)), texts(2000))
    server.set_script(Script(latency=QUICK, faults={"refused_429": 0.015}))
    table, figures = run(plan(tmp_path / "busy", endpoint(server.base_url)), texts(2000))
    assert set(table["status"].to_pylist()) == {"answered"}
    assert figures.refused > 10
    assert figures.seconds < 8 * undisturbed.seconds


def test_a_hang_is_cut_by_the_timeout(server, tmp_path):
    server.set_script(Script(faults={"hang": 0.1, "first_calls": 1}))
    table, _ = run(plan(tmp_path, endpoint(server.base_url), requests={"timeout_s": 1}), texts(60))
    assert set(table["status"].to_pylist()) == {"answered"}


def test_refusals_by_rate_never_count_against_a_row(server, tmp_path):
    server.set_script(Script(limits={"requests_per_minute": 3000, "window_s": 1, "retry_after": "ms"}))
    plan_ = plan(tmp_path, endpoint(server.base_url), requests={"max_attempts": 1}, start_in_flight=100)
    table, figures = run(plan_, texts(200))
    assert set(table["status"].to_pylist()) == {"answered"}
    assert figures.refused > 0
    assert pa.compute.sum(table["refusals"]).as_py() == figures.refused


def test_no_conversation_text_reaches_logs(server, tmp_path, caplog):
    server.set_script(Script(faults={"filtered_400": 0.5, "error_500": 0.3}))
    with caplog.at_level(logging.DEBUG):
        run(plan(tmp_path, endpoint(server.base_url)), [f"SECRET {number}" for number in range(50)])
    assert "SECRET" not in caplog.text

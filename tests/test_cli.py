"""The command line as a user meets it: exit codes, one JSON document, one-line errors."""

import json

import pytest

from tests.command import semtel_process
from tests.pipeline import FIRST_WEEK, conversation, project


def conversations(count):
    return [conversation(n, f"How do I bake bread number {n * 31}?", "Slowly.", user=f"u{n}") for n in range(count)]


def test_a_process_prints_one_json_document_and_a_second_run_makes_no_call(tmp_path, semtel):
    project(tmp_path, conversations(9))
    first = semtel_process("run", "--json", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    (partition,) = json.loads(first.stdout)
    assert (partition["week"], partition["classifier"]) == (FIRST_WEEK, "intent")
    assert partition["conversations"] == partition["answered"] + partition["invalid"] + partition["unanswered"] == 9
    assert partition["calls"] > 0
    second = semtel("run", "--json")
    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout)[0]["calls"] == 0


def test_run_shows_tables_and_says_where_things_are(tmp_path, semtel):
    project(tmp_path, conversations(9))
    done = semtel("run")
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in ("intent", "report.html", "semtel.duckdb"))
    reported = semtel("report", "--week", FIRST_WEEK)
    assert reported.returncode == 0, reported.stderr


def test_a_process_says_what_is_wrong_in_one_line_and_nothing_else(tmp_path):
    project(tmp_path, conversations(1))
    done = semtel_process("run", "--week", "2026-10-06", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.strip().count("\n")) == (2, "", 0), done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--week", "2026-10-06"], ["2026-10-06", "Mondays from 2026-10-05"]),
        (["run", "--classifier", "mood"], ["unknown classifier mood", "intent"]),
        (["run", "--week", FIRST_WEEK, "--since", FIRST_WEEK], ["either --week or --since"]),
        (["run", "--settings", "nowhere.yaml"], ["nowhere.yaml does not exist"]),
        (["report"], ["no label shares", "semtel run"]),
    ],
)
def test_a_wrong_argument_is_one_line_with_the_mend_and_exit_code_2(tmp_path, semtel, arguments, words):
    project(tmp_path, conversations(1))
    done = semtel(*arguments)
    assert done.returncode == 2, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert done.stdout == ""


def test_a_source_that_matches_nothing_is_exit_code_2(tmp_path, semtel):
    project(tmp_path, [], source={"path": "nothing-here/*.parquet"})
    done = semtel("run")
    assert done.returncode == 2
    assert "nothing-here" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_setting_is_exit_code_2(tmp_path, semtel):
    (tmp_path / "semtel.yaml").write_text("sampel: {rate: 1}", encoding="utf-8")
    done = semtel("run")
    assert done.returncode == 2
    assert "sampel: unknown field" in done.stderr


def test_check_looks_at_everything_even_when_one_part_is_wrong(tmp_path, semtel):
    project(tmp_path, conversations(3))
    good = semtel("check")
    assert good.returncode == 0, good.stdout + good.stderr
    project(tmp_path, [], source={"path": "nothing-here/*.parquet"})
    bad = semtel("check")
    assert bad.returncode == 1
    assert "nothing-here" in bad.stdout
    assert "prompt intent" in bad.stdout

"""`semtel plan`, `backfill` and `diff` as a user meets them; in this process, since each start takes seconds."""

import json

import pytest

from tests.living import WEEKS, copy_of, edit, living_project

OLD, NEW = WEEKS
CHANGE = ("Knows the basic words and goals", "Knows the basic words")


@pytest.fixture(autouse=True)
def beside_the_project(semtel, tmp_path, monkeypatch):
    """The instance that labelled projects have."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "instance"))


@pytest.fixture
def changed(template, tmp_path):
    """A labelled project whose expertise prompt was edited."""
    edit(copy_of(template, tmp_path), "expertise", CHANGE)
    return tmp_path


def test_plan_backfill_and_plan_again_agree(tmp_path, semtel):
    living_project(tmp_path, per_week=3, classifiers=["intent"])
    planned = semtel("plan", "--json")
    assert planned.returncode == 0, planned.stderr
    document = json.loads(planned.stdout)
    assert [(each["week"], each["reason"], each["calls"]) for each in document["partitions"]] == [
        (NEW, "missing", 3),
        (OLD, "missing", 2),
    ]
    capped = semtel("backfill", "--max-calls", "4")
    assert capped.returncode == 0, capped.stderr
    assert "4 calls" in capped.stdout
    assert "left when the cap was reached" in capped.stdout
    assert "stopped by the cap" in capped.stderr
    rest = semtel("backfill")
    assert rest.returncode == 0, rest.stderr
    assert json.loads(semtel("plan", "--json").stdout)["partitions"] == []
    assert "Nothing to do" in semtel("backfill").stdout


def test_plan_tells_in_words_what_changed(changed, semtel):
    told = semtel("plan", "--week", NEW)
    assert told.returncode == 0, told.stderr
    assert all(word in told.stdout for word in ("prompt changed", "label beginner of user_expertise", "6 calls"))
    assert "intent" not in told.stdout


def test_diff_of_a_sample_asks_about_the_sample_and_shows_the_moves(changed, semtel):
    done = semtel("diff", "--classifier", "expertise", "--sample", "3", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["calls"], document["unanswered"]) == (3, 0)
    assert {task["task"]: task["conversations"] for task in document["tasks"]} == {
        "user_expertise": 3,
        "assistant_expertise": 3,
    }
    shown = semtel("diff", "--classifier", "expertise", "--sample", "3", "--page", "moves.html")
    assert shown.returncode == 0, shown.stderr
    assert "user_expertise" in shown.stdout
    assert "<svg" in (changed / "moves.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan", "--classifier", "mood"], "unknown classifier mood"),
        (["backfill", "--week", "2026-10-06"], "2026-10-06 is not one of the complete weeks"),
        (["backfill", "--webserver", "http://127.0.0.1:9"], "start dagster dev"),
        (["diff", "--classifier", "intent"], "no earlier version"),
        (["diff", "--classifier", "intent", "--old", "zz"], "there are: "),
    ],
)
def test_a_wrong_argument_is_one_line_with_the_mend_and_exit_code_2(changed, semtel, arguments, words):
    done = semtel(*arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert done.stderr.strip().count("\n") == 0

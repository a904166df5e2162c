"""Labelling by hand: the notebook on disk, the drawn conversations, the server's manners, and what is shown after."""

import http.client
import json
import threading

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.annotation.choosing import Item, choose
from semtel_dagster.annotation.notebook import Notebook
from semtel_dagster.annotation.server import AnnotationServer, Session
from semtel_dagster.annotation.summary import summarise
from semtel_dagster.errors import SettingsError
from semtel_dagster.evaluation.golden import GoldenLabel, GoldenSet, load_golden
from semtel_dagster.transcript import Turn
from tests.evaluation.builders import task

TASKS = [task("topic"), task("mood", ("glad", "sad"), ordinal=True)]


def prepared(storage, count, week="2026-10-05"):
    """A stored table of so many conversations."""
    folder = storage / "truncated_conversations" / f"week={week}"
    folder.mkdir(parents=True)
    rows = {"conversation_id": [f"c{n}" for n in range(count)], "text": [f"user:\n> Text {n}" for n in range(count)]}
    pl.DataFrame(rows).write_parquet(folder / "part-0.parquet")
    return str(storage)


@pytest.fixture
def opened(tmp_path):
    """A session over two conversations and two tasks."""
    items = [Item(f"c{n}", (Turn("user", f"<b>Text</b> {n}"),), 0.5) for n in range(2)]
    with Notebook(tmp_path / "kim.jsonl", "kim") as notebook:
        yield Session(items, TASKS, notebook, lambda: [{"task": "topic"}])


def test_a_notebook_is_a_golden_file_in_which_the_last_word_counts(tmp_path):
    with Notebook(tmp_path / "kim.jsonl", "kim") as notebook:
        notebook.write("c1", "topic", "work", 0.25)
        notebook.write("c1", "topic", "food", 0.25)
    assert (notebook.label("c1", "topic"), notebook.label("c2", "topic"), len(notebook)) == ("food", None, 1)
    golden = load_golden([str(notebook.path)])
    assert golden.ratings("topic") == {"c1": {"kim": "food"}}
    assert json.loads(notebook.path.read_text().split("\n")[0])["inclusion_probability"] == 0.25


@given(cut=st.integers(min_value=0, max_value=300))
def test_whatever_a_crash_leaves_whole_lines_are_kept(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("crash") / "kim.jsonl"
    with Notebook(path, "kim") as notebook:
        notebook.write("c1", "topic", "work", 1.0)
        first = path.stat().st_size
        notebook.write("c2", "topic", "food", 1.0)
    whole = path.read_bytes()
    left = max(first, len(whole) - cut)
    path.write_bytes(whole[:left])
    with Notebook(path, "kim") as again:
        again.write("c3", "topic", "work", 1.0)
    kept = [label.case for label in load_golden([str(path)]).labels]
    assert kept == (["c1", "c2", "c3"] if left == len(whole) else ["c1", "c3"])


def test_another_annotators_lines_in_the_file_stay_theirs(tmp_path):
    with Notebook(tmp_path / "both.jsonl", "lee") as theirs, Notebook(tmp_path / "both.jsonl", "kim") as mine:
        theirs.write("c1", "topic", "work", 1.0)
        mine.write("c2", "topic", "food", 1.0)
    with Notebook(tmp_path / "both.jsonl", "kim") as again:
        assert (again.label("c1", "topic"), again.label("c2", "topic")) == (None, "food")


def test_conversations_are_drawn_with_a_known_probability_the_same_for_everyone(tmp_path):
    storage = prepared(tmp_path, 40)
    drawn = choose(storage, 10)
    assert len({item.case for item in drawn}) == 10
    assert {item.inclusion_probability for item in drawn} == {0.25}
    assert drawn[0].turns[0].role == "user"
    assert choose(storage, 10) == drawn
    assert {item.case for item in drawn} < {item.case for item in choose(storage, 20)}
    assert {item.case for item in choose(storage, 10, seed=1)} != {item.case for item in drawn}
    assert {item.inclusion_probability for item in choose(storage, 99)} == {1.0}
    with pytest.raises(SettingsError, match="semtel run"):
        choose(storage, 10, weeks=["2026-10-12"])


def test_questions_come_in_order_and_agreement_only_at_the_end(opened):
    asked = []
    while (state := opened.state())["question"]:
        assert state["summary"] is None
        question = state["question"]
        asked.append((question["case"], question["task"]))
        assert opened.write(question["case"], question["task"], question["labels"][0]["name"])
    assert asked == [("c0", "topic"), ("c0", "mood"), ("c1", "topic"), ("c1", "mood")]
    assert (state["done"], state["total"], state["summary"]) == (4, 4, [{"task": "topic"}])
    assert opened.state(1)["question"]["given"] == "glad"


def test_the_state_never_holds_a_models_label(opened):
    assert set(opened.state()["question"]) == {"case", "turns", "task", "question", "labels", "given"}


@pytest.fixture
def served(opened):
    with AnnotationServer(opened) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def ask(server, method, path, body=None, host=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    connection.request(method, path, body, {"Host": host or server.host})
    reply = connection.getresponse()
    return reply.status, reply.read(), reply.headers


def test_only_the_holder_of_the_address_on_this_machine_is_served(served):
    inside = f"/{served.token}/"
    status, page, headers = ask(served, "GET", inside)
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert b"{{ nonce }}" not in page
    assert b"http" not in page.replace(b"http-equiv", b"")
    for path, host in (
        ("/", None),
        ("/wrong/state", None),
        (f"{inside}state", "evil.example:80"),
        (f"{inside}x", None),
    ):
        assert ask(served, "GET", path, host=host)[0] == 404


def test_a_label_is_on_disk_when_it_is_acknowledged_and_a_wrong_one_is_refused(served):
    inside = f"/{served.token}/label"
    good = {"case": "c0", "task": "topic", "label": "work"}
    assert ask(served, "POST", inside, json.dumps(good))[0] == 200
    assert load_golden([str(served.session.notebook.path)]).ratings("topic") == {"c0": {"kim": "work"}}
    for bad in ({**good, "label": "alien"}, {**good, "case": "c9"}, {"case": "c0"}, [1]):
        assert ask(served, "POST", inside, json.dumps(bad))[0] == 400
    assert ask(served, "POST", inside, "x" * 20_000)[0] == 404
    assert served.session.state()["done"] == 1


def test_the_summary_compares_people_with_each_other_and_with_the_stored_labels(tmp_path):
    said = {"kim": ["work", "food", "food"], "lee": ["work", "food", "work"]}
    labels = [GoldenLabel(f"c{n}", "topic", label, who) for who, all_ in said.items() for n, label in enumerate(all_)]
    folder = tmp_path / "labels" / "week=2026-10-05" / "classifier=topic"
    folder.mkdir(parents=True)
    stored = {"conversation_id": ["c0", "c1", "c7"], "task": ["topic"] * 3, "label": ["work", "travel", "work"]}
    pl.DataFrame(stored).write_parquet(folder / "part-0.parquet")
    (found,) = summarise(GoldenSet(tuple(labels)), TASKS, str(tmp_path))
    assert (found["cases"], found["annotators"], found["shared_cases"]) == (3, ["kim", "lee"], 3)
    assert found["alpha"][0] == pytest.approx(1 - (2 / 6) / (18 / 30))
    assert (found["model_cases"], found["model_accuracy"][0]) == (2, 0.5)

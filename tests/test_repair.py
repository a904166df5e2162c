"""An invalid answer is asked again once, with the reason: against a server that answers well only when it is told."""

import pickle

import pyarrow as pa
import pytest

from semtel_dagster import tables
from semtel_dagster.labels.batches import ParseResponses
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Answers, Script
from semtel_dagster.prompts.loader import load_classifiers
from semtel_dagster.repair import AskAndRepair, parser_for, second_question
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.requests.journal import Journal
from semtel_dagster.settings import RequestSettings
from tests.requests.builders import batches, endpoint, plan, prompt, texts

GOOD, BAD = '{"colour": "red"}', '{"colour": "mauve"}'


@pytest.fixture
def server():
    with serve(Script(answers=Answers(style="fixed", text=BAD))) as running:
        yield running


def asked(server, folder, conversations, *, repair=True):
    """All conversations, answered and read; what the labels say."""
    a_plan = plan(folder, endpoint(server.base_url), requests={"repair": repair})
    function = pickle.loads(pickle.dumps(AskAndRepair(ClassifyBatches(prompt(), a_plan))))
    responses = list(function(batches(conversations, size=7)))
    labels = [row for batch in ParseResponses(prompt().classifier)(iter(responses)) for row in batch.to_pylist()]
    return pa.Table.from_batches(responses, schema=tables.RESPONSES), labels


def learns(server):
    """From now on the server gives a label, as a model does that is told what was wrong."""
    server.set_script(Script(answers=Answers(style="fixed", text=GOOD)))


def test_an_invalid_answer_is_repaired_and_says_so(server, tmp_path):
    first, labels = asked(server, tmp_path, texts(20), repair=False)
    assert {label["label_status"] for label in labels} == {"invalid"}
    learns(server)
    responses, labels = asked(server, tmp_path, texts(20))
    assert {(label["label"], label["label_status"]) for label in labels} == {("red", "repaired")}
    assert responses.num_rows == len(set(responses["content_hash"].to_pylist())) == 20
    assert set(responses["error"].to_pylist()) == {"repaired: unknown label"}
    assert set(responses["prompt_fingerprint"].to_pylist()) == {prompt().fingerprint}
    both = zip(first["input_tokens"].to_pylist(), responses["input_tokens"].to_pylist(), strict=True)
    assert all(after > before for before, after in both)


def test_a_repair_is_paid_for_once(server, tmp_path):
    asked(server, tmp_path, texts(10), repair=False)
    learns(server)
    asked(server, tmp_path, texts(10))
    again, labels = asked(server, tmp_path, texts(10))
    assert set(again["from_journal"].to_pylist()) == {True}
    assert sum(again["attempts"].to_pylist()) == 0
    assert {label["label_status"] for label in labels} == {"repaired"}
    second = second_question(prompt(), "unknown label")
    assert len(Journal(tmp_path, "colour", second.fingerprint)) == 10


def test_an_answer_that_stays_wrong_stays_invalid_after_one_more_call(server, tmp_path):
    responses, labels = asked(server, tmp_path, texts(10))
    assert {label["label_status"] for label in labels} == {"invalid"}
    assert set(responses["attempts"].to_pylist()) == {2}
    assert set(responses["error"].to_pylist()) == {None}


def test_good_answers_are_not_asked_again(server, tmp_path):
    learns(server)
    responses, labels = asked(server, tmp_path, texts(10))
    assert set(responses["attempts"].to_pylist()) == {1}
    assert {label["label_status"] for label in labels} == {"exact"}


def test_the_second_question_tells_the_reason_and_no_answer():
    first = prompt()
    second = second_question(first, "several labels")
    assert second.fingerprint != first.fingerprint
    assert second.messages[0] == first.messages[0]
    assert "The answer names more than one label." in second.messages[1].after
    assert second.fingerprint != second_question(first, "refusal").fingerprint


def test_nearest_makes_no_call_and_repairs_by_the_meaning_of_the_word(server, tmp_path):
    responses, _ = asked(server, tmp_path, texts(5), repair="nearest")
    assert set(responses["attempts"].to_pylist()) == {1}
    topic = load_classifiers(names=["topic"])["topic"].classifier
    row = {"content_hash": "0" * 32, "raw_text": '{"topic": "job interviews"}', "status": "answered"}
    answer = pa.RecordBatch.from_pylist([row], schema=tables.RESPONSES)
    found = {}
    for repair in ("none", "ask", "nearest"):
        parser = pickle.loads(pickle.dumps(parser_for(topic, RequestSettings(repair=repair))))
        (labels,) = [batch.to_pylist() for batch in parser(iter([answer]))]
        found[repair] = (labels[0]["label"], labels[0]["label_status"], labels[0]["parser_fingerprint"])
    assert found["none"] == found["ask"]
    assert found["none"][:2] == (None, "invalid")
    assert found["nearest"][:2] == ("careers", "repaired")
    assert found["nearest"][2] != found["none"][2]


@pytest.mark.parametrize(
    ("given", "meant"), [(True, "ask"), (False, "none"), ("true", "ask"), ("nearest", "nearest"), ("none", "none")]
)
def test_yes_and_no_are_words_for_asking_again_and_leaving_it(given, meant):
    assert RequestSettings(repair=given).repair == meant

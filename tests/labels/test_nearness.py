"""An unknown word in a label's place, read by its meaning where that is switched on."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings

from semtel_dagster.classifiers import Task
from semtel_dagster.labels.answers import AnswerParser
from semtel_dagster.labels.batches import ParseResponses
from semtel_dagster.labels.fingerprint import parser_fingerprint
from tests.labels.builders import LEVEL, MOOD, TOPIC, classifier, label, task
from tests.labels.test_answers import ANY_TEXT
from tests.labels.test_batches import responses


@dataclass(frozen=True)
class Sushi:
    """Knows one word, and only of topics."""

    fingerprint: str = "sushi-1"

    def finder(self, asked: Task):
        return (lambda value: "food" if value == "sushi" else None) if asked.name == "topic" else None


def read(raw, *tasks):
    return AnswerParser(classifier(*(tasks or (TOPIC,))), Sushi()).parse(raw)[0]


@pytest.mark.parametrize(
    "raw", ['{"topic": "sushi"}', "sushi", "Topic: sushi", "<topic>sushi</topic>", '{"topic": ["sushi"']
)
def test_a_lone_unknown_value_is_repaired(raw):
    found = read(raw)
    if raw.endswith('["sushi"'):
        assert (found.label, found.status) == (None, "invalid")  # a list says no one word
    else:
        assert (found.label, found.status, found.reason) == ("food", "repaired", None)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ('{"topic": "noodles"}', "unknown label"),
        ('{"topic": "not sushi"}', "negated label"),
        ('{"topic": "food or travel"}', "several labels"),
        ('{"topic": "sushi", "Topic": "noodles"}', "unknown label"),
        ("I'm sorry, I can't say sushi.", "refusal"),
        (
            "They talk about it for long, and then about many other things, and at last of sushi as well.",
            "unknown label",
        ),
    ],
)
def test_what_is_no_one_unknown_word_stays_invalid(raw, reason):
    assert (read(raw).label, read(raw).reason) == (None, reason)


def test_what_is_read_without_it_is_read_alike_with_it():
    for raw in ('{"topic": "coding"}', "Food.", '{"topic": "travl"}', "{}", ""):
        assert read(raw) == AnswerParser(classifier(TOPIC)).parse(raw)[0]


def test_a_task_that_it_cannot_judge_and_one_of_several_are_read_apart():
    topic, level = AnswerParser(classifier(TOPIC, LEVEL), Sushi()).parse('{"topic": "sushi", "level": "sushi"}')
    assert (topic.label, level.label, level.reason) == ("food", None, "unknown label")
    scored = task("topic", "food", "travel", score=MOOD.score)
    assert (read('{"topic": "sushi", "mood_score": 12}', scored).label, read("sushi", scored).reason) == (
        "food", "score missing",
    )  # fmt: skip


def test_the_fingerprint_covers_the_judge_and_then_the_definitions():
    asked = classifier(TOPIC)
    other = TOPIC.model_copy(update={"labels": (label("programming"), *TOPIC.labels[1:])})
    reworded = classifier(
        TOPIC.model_copy(
            update={"labels": (TOPIC.labels[0].model_copy(update={"definition": "Anew."}), *TOPIC.labels[1:])}
        )
    )
    with_judge = ParseResponses(asked, Sushi()).fingerprint
    assert with_judge != ParseResponses(asked).fingerprint == parser_fingerprint(asked)
    assert with_judge != ParseResponses(asked, Sushi("sushi-2")).fingerprint
    assert with_judge != ParseResponses(reworded, Sushi()).fingerprint
    assert ParseResponses(reworded).fingerprint == ParseResponses(asked).fingerprint
    assert ParseResponses(classifier(other), Sushi()).fingerprint != with_judge


def test_a_batch_tells_which_labels_are_repaired():
    (batch,) = ParseResponses(classifier(TOPIC), Sushi())(iter([responses("sushi", "travel", "noodles")]))
    assert list(zip(batch["label"].to_pylist(), batch["label_status"].to_pylist(), strict=True)) == [
        ("food", "repaired"), ("travel", "cleaned"), (None, "invalid"),
    ]  # fmt: skip


@settings(deadline=None)
@given(ANY_TEXT)
def test_any_text_gives_a_label_of_the_schema_or_none(raw):
    asked = classifier(TOPIC, LEVEL, MOOD)
    for found, wanted in zip(AnswerParser(asked, Sushi()).parse(raw), asked.tasks, strict=True):
        assert found.label in {None, *(known.name for known in wanted.labels)}
        assert (found.label is None) == (found.status == "invalid")

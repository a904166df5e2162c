"""The parser's fingerprint changes with what the parser reads, and not with the prompt."""

from semtel_dagster.labels.fingerprint import parser_fingerprint
from tests.labels.builders import MOOD, TOPIC, classifier, label, task


def test_an_alias_changes_it():
    renamed = task("topic", label("programming", "hacking", "code"), *TOPIC.labels[1:])
    assert parser_fingerprint(classifier(renamed)) != parser_fingerprint(classifier(TOPIC))


def test_the_order_of_aliases_a_definition_or_a_question_does_not():
    first = TOPIC.labels[0].model_copy(update={"aliases": TOPIC.labels[0].aliases[::-1], "definition": "Other words."})
    other = TOPIC.model_copy(update={"question": "Why?", "labels": (first, *TOPIC.labels[1:])})
    assert parser_fingerprint(classifier(other)) == parser_fingerprint(classifier(TOPIC))


def test_the_score_and_the_order_of_levels_change_it():
    unscored = MOOD.model_copy(update={"score": None})
    turned = MOOD.model_copy(update={"labels": MOOD.labels[::-1]})
    assert len({parser_fingerprint(classifier(t)) for t in (MOOD, unscored, turned)}) == 3

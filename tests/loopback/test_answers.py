import json
from collections import Counter

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.loopback.answers import Answerer, valid_answer
from semtel_dagster.loopback.chat import key_of
from semtel_dagster.loopback.dirt import SHAPES, soil
from semtel_dagster.loopback.script import Answers
from tests.loopback.virtual import LABELS, SCHEMA

TEXTS = [f"conversation {number}" for number in range(4000)]

leaves = st.one_of(
    st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True).map(lambda labels: {"enum": labels}),
    st.sampled_from(
        [{"type": "string"}, {"type": "boolean"}, {"type": "null"}, {"const": 3}, {"type": ["string", "null"]}]
    ),
    st.tuples(st.sampled_from(["integer", "number"]), st.integers(-5, 5), st.integers(0, 9)).map(
        lambda kind: {"type": kind[0], "minimum": kind[1], "maximum": kind[1] + kind[2]}
    ),
    st.just({"$ref": "#/$defs/level"}),
)


def objects(fields):
    return st.dictionaries(st.text(min_size=1, max_size=8), fields, min_size=1, max_size=4).map(
        lambda properties: {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    )


schemas = objects(
    st.recursive(
        leaves,
        lambda inner: st.one_of(
            objects(inner),
            st.tuples(inner, st.integers(0, 3)).map(
                lambda pair: {"type": "array", "items": pair[0], "minItems": pair[1]}
            ),
            st.lists(inner, min_size=1, max_size=2).map(lambda options: {"anyOf": options}),
        ),
        max_leaves=8,
    )
).map(lambda schema: {**schema, "$defs": {"level": {"enum": ["low", "high"]}}})


def answer(transcript, schema=SCHEMA, seed=0, **fields):
    return Answerer(Answers(**fields), seed).answer(schema, key_of(transcript))


@settings(max_examples=50)
@given(schema=schemas, text=st.text())
def test_the_echo_is_valid_under_any_schema(schema, text):
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [fault.message for fault in validator.iter_errors(json.loads(answer(text, schema)))] == []


@given(text=st.text(), seed=st.integers(0, 9))
def test_tests_can_know_the_echo_beforehand(text, seed):
    assert json.loads(answer(text, seed=seed)) == valid_answer(SCHEMA, text, seed)


def test_every_label_is_given_about_equally_often():
    given_labels = Counter(json.loads(answer(text))["topic"] for text in TEXTS)
    assert set(given_labels) == set(LABELS)
    assert min(given_labels.values()) > 0.2 * len(TEXTS)


def test_fields_are_chosen_independently():
    schema = {"type": "object", "properties": {"one": {"enum": LABELS}, "two": {"enum": LABELS}}}
    pairs = {tuple(json.loads(answer(text, schema)).values()) for text in TEXTS[:400]}
    assert len(pairs) == len(LABELS) ** 2


def test_a_fixed_answer_is_always_the_same():
    assert {answer(text, style="fixed", text="no") for text in TEXTS[:9]} == {"no"}


def test_without_a_schema_the_scripts_own_is_used():
    assert json.loads(answer("a", schema=None, json_schema={"type": "object", "properties": {"x": {"const": 1}}})) == {
        "x": 1
    }
    assert json.loads(answer("a", schema=None)) == {"label": "other"}


@pytest.mark.parametrize("hashed", [False, True])
def test_the_truth_is_told_with_the_given_accuracy(hashed):
    truth = {key_of(text).hex() if hashed else text: "search" for text in TEXTS}
    told = Answerer(Answers(style="confusion", truth=truth, accuracy=0.7), seed=0)
    counts = Counter(json.loads(told.answer(SCHEMA, key_of(text)))["topic"] for text in TEXTS)
    assert counts["search"] / len(TEXTS) == pytest.approx(0.7, abs=0.04)
    assert set(counts) == set(LABELS)


def test_the_truth_can_be_told_task_by_task():
    schema = {"type": "object", "properties": {"one": {"enum": LABELS}, "two": {"enum": LABELS}}}
    truth = {"hello": {"one": "search", "two": "coding"}}
    assert json.loads(answer("hello", schema, style="confusion", truth=truth, accuracy=1.0)) == truth["hello"]


def test_a_share_of_the_answers_is_dirty_and_always_of_the_same_conversations():
    dirty = [answer(text, style="dirty", dirty_share=0.3) for text in TEXTS]
    clean = [answer(text) for text in TEXTS]
    spoiled = sum(one != other for one, other in zip(dirty, clean, strict=True))
    assert spoiled / len(TEXTS) == pytest.approx(0.3, abs=0.04)
    assert dirty == [answer(text, style="dirty", dirty_share=0.3) for text in TEXTS]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_kind_of_dirt_differs_from_a_valid_answer(shape):
    text = SHAPES[shape]({"topic": "small_talk", "score": 3})
    assert text != json.dumps({"topic": "small_talk", "score": 3}, separators=(",", ":"))
    try:
        jsonschema.validate(json.loads(text), SCHEMA)
    except (json.JSONDecodeError, jsonschema.ValidationError):
        return
    pytest.fail("a strict parser would take it")


def test_every_kind_of_dirt_can_come():
    value = {"topic": "small_talk"}
    assert {soil(value, at / len(SHAPES)) for at in range(len(SHAPES))} == {shape(value) for shape in SHAPES.values()}

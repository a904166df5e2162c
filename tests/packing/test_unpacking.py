"""Unpacking: what belongs to whom, by id alone, whatever happened to the answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.packing.packs import Pack
from semtel_dagster.packing.unpacking import AnswerReader, by_id, doubtful
from tests.packing.builders import COLOURS, PROMPTS, SHAPES, conversation

PACK = Pack(("colour",), tuple(conversation(number) for number in range(8)))
READER = AnswerReader({"colour": PROMPTS["colour"]})
BOTH = AnswerReader(PROMPTS)
IDS = list(PACK.ids)
RIGHT = {an_id: COLOURS[at % len(COLOURS)] for at, an_id in enumerate(IDS)}


def entries(ids=IDS):
    return [{"id": an_id, "colour": RIGHT[an_id]} for an_id in ids]


def answer(each):
    return json.dumps({"answers": each})


def read(text, pack=PACK, reader=READER):
    """Labels by id."""
    found = reader.read(text, pack)
    ids = {each.content_hash: an_id for an_id, each in pack.ids.items()}
    return {ids[one]: json.loads(members["colour"])["colour"] for one, members in found.items() if "colour" in members}


@given(st.permutations(IDS))
def test_answers_in_any_order_belong_to_their_ids(ids):
    assert read(answer(entries(ids))) == RIGHT


@given(st.sets(st.sampled_from(IDS), min_size=1))
def test_what_is_missing_is_missing_and_the_rest_is_kept(ids):
    assert read(answer(entries(sorted(ids)))) == {an_id: RIGHT[an_id] for an_id in ids}


@given(st.integers(0, 500))
def test_a_cut_answer_gives_whole_entries_only(at):
    text = answer(entries())
    found = read(text[:at])
    assert found.items() <= RIGHT.items()
    assert len(found) == min(len(IDS), text[:at].count("}"))


def test_an_answer_written_twice_alike_counts_once():
    assert read(answer([*entries(), entries()[2]])) == RIGHT


def test_an_answer_that_contradicts_itself_is_asked_again():
    other = {"id": IDS[2], "colour": "white" if RIGHT[IDS[2]] != "white" else "red"}
    assert read(answer([*entries(), other])) == {an_id: RIGHT[an_id] for an_id in IDS if an_id != IDS[2]}


def test_two_values_for_one_key_are_asked_again():
    text = answer(entries()).replace(f'"colour": "{RIGHT[IDS[0]]}"', '"colour": "red", "colour": "blue"', 1)
    assert IDS[0] not in read(text)
    assert len(read(text)) == 7


def test_invented_ids_count_for_nothing():
    text = answer([*entries()[1:], {"id": "zzzzzz", "colour": "red"}])
    assert read(text) == {an_id: RIGHT[an_id] for an_id in IDS[1:]}


def test_an_answer_with_mostly_invented_ids_is_misaligned_as_a_whole():
    invented = [{"id": f"zzzzz{number}", "colour": "red"} for number in range(5)]
    assert read(answer([*entries(IDS[:4]), *invented])) == {}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: f"```json\n{text}\n```",
        lambda text: f"Here you are:\n{text}\nI hope that helps {{really}}.",
        lambda text: text.removeprefix('{"answers": ').removesuffix("}"),
        lambda text: "\n".join(json.dumps(each) for each in json.loads(text)["answers"]),
        lambda text: text.replace('"id": "', '"id": " ').upper().replace("ID", "id"),
        lambda text: json.dumps(
            {"answers": {each.pop("id"): each for each in json.loads(text)["answers"]}}
        ),
    ],
    ids=["fence", "prose", "bare list", "lines", "upper case", "by id"],
)  # fmt: skip
def test_other_forms_of_the_same_answer_are_read(spoil):
    found = read(spoil(answer(entries())))
    assert {an_id: label.lower() for an_id, label in found.items()} == RIGHT


@given(st.text())
def test_no_text_raises_or_gives_answers_to_others(text):
    assert set(by_id(text, PACK)) <= set(IDS)


def test_deep_nesting_ends():
    assert read('{"a":' * 20_000) == {}
    assert read("[" * 50_000) == {}


def test_a_label_nobody_offered_is_asked_again():
    text = answer([{"id": IDS[0], "colour": "something else entirely"}, *entries()[1:]])
    assert IDS[0] not in read(text)


PAIR = Pack(("colour", "shape"), PACK.conversations)


def test_an_answer_that_lacks_one_task_keeps_the_others():
    text = json.dumps({"answers": [{"id": an_id, "colour": RIGHT[an_id]} for an_id in IDS]})
    found = BOTH.read(text, PAIR)
    assert {frozenset(members) for members in found.values()} == {frozenset({"colour"})}


def test_each_classifier_gets_the_answer_it_would_have_had_alone():
    one = conversation(0)
    alone = Pack(("colour", "shape"), (one,), framed=False)
    found = BOTH.read('{"colour": "Red ", "shape": "flat"}', alone)[one.content_hash]
    assert {name: json.loads(text) for name, text in found.items()} == {
        "colour": {"colour": "Red "},
        "shape": {"shape": "flat"},
    }


def test_free_text_is_told_apart_by_the_names_of_the_tasks():
    one = conversation(0)
    alone = Pack(("colour", "shape"), (one,), framed=False)
    found = BOTH.read(f"colour: {COLOURS[0]}\nshape: {SHAPES[1]}", alone)[one.content_hash]
    assert json.loads(found["colour"]) == {"colour": COLOURS[0]}
    assert json.loads(found["shape"]) == {"shape": SHAPES[1]}


def test_a_grader_names_ids_and_nothing_else_counts():
    text = json.dumps({"checked": 8, "doubtful": [IDS[1].upper(), "zzzzzz"]})
    assert doubtful(text, PACK) == {PACK.conversations[1].content_hash}
    assert doubtful('{"checked": 8, "doubtful": []}', PACK) == set()
    assert doubtful('{"checked": 8, "doubtful": ["k3', PACK) is None
    assert doubtful("all fine", PACK) is None

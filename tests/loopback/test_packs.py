"""Prompts with several conversations: each answered as alone, then spoiled as the script says."""

import json

import pytest

from semtel_dagster.loopback.answers import Answerer
from semtel_dagster.loopback.chat import key_of
from semtel_dagster.loopback.packs import PackAnswerer, blocks_in, is_packed
from semtel_dagster.loopback.script import Answers, PackWork

TASK = {"type": "string", "enum": ["red", "green", "blue"]}
ENTRY = {"type": "object", "properties": {"id": {"type": "string"}, "colour": TASK}}
SCHEMA = {"type": "object", "properties": {"answers": {"type": "array", "items": ENTRY}}}
GRADER = {"type": "object", "properties": {"checked": {"type": "integer"}, "doubtful": {"type": "array"}}}
TEXTS = [f"user:\n> number {number}" for number in range(12)]
TRUTH = {text: {"colour": TASK["enum"][at % 3]} for at, text in enumerate(TEXTS)}


def prompt(proposed=None):
    lines = []
    for at, text in enumerate(TEXTS):
        lines += [f"=== conversation id{at} ===", text, f"=== end of id{at} ==="]
        lines += [f'=== answer to check: {{"colour": "{proposed[at]}"}}', ""] if proposed else [""]
    return "Transcripts:\n\n" + "\n".join(lines) + "\nEnd."


def answerer(**work):
    answers = Answers(style="confusion", truth=TRUTH, accuracy=1.0)
    return PackAnswerer(PackWork(**work), Answerer(answers, 0), 0)


def entries(key=b"k", **work):
    text, cut = answerer(**work).answer(SCHEMA, blocks_in(prompt()), key)
    return text if cut else json.loads(text)["answers"]


def test_a_schema_tells_packs_and_graders_from_single_calls():
    assert is_packed(SCHEMA)
    assert is_packed(GRADER)
    assert not is_packed({"type": "object", "properties": {"colour": TASK}})
    assert not is_packed(None)


def test_conversations_are_found_by_their_lines_at_the_margin():
    blocks = blocks_in(prompt())
    assert [block.id for block in blocks] == [f"id{at}" for at in range(12)]
    assert [block.key for block in blocks] == [key_of(text) for text in TEXTS]
    assert {block.proposed for block in blocks} == {None}


def test_each_conversation_gets_the_answer_it_would_have_had_alone():
    assert [each["colour"] for each in entries()] == [TRUTH[text]["colour"] for text in TEXTS]


@pytest.mark.parametrize(
    ("work", "holds"),
    [
        ({"missing": 1}, lambda found: len(found) == 11),
        ({"duplicated": 1}, lambda found: len(found) == 13 and len({each["id"] for each in found}) == 12),
        ({"invented": 1}, lambda found: len({each["id"] for each in found} - {f"id{at}" for at in range(12)}) == 1),
        ({"reordered": 1}, lambda found: [each["id"] for each in found] != [f"id{at}" for at in range(12)]),
        ({"contradicted": 1}, lambda found: len(found) == 13),
        ({"cut": 1}, lambda text: isinstance(text, str) and not text.endswith("}")),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_a_fault_strikes_as_it_is_called(work, holds):
    assert holds(entries(**work))


def test_company_loses_labels_in_proportion():
    wrong = sum(
        each["colour"] != TRUTH[text]["colour"]
        for number in range(200)
        for each, text in zip(entries(b"%d" % number, size_loss=0.02), TEXTS, strict=True)
    )
    assert 0.17 < wrong / (200 * 12) < 0.27


def test_a_grader_names_what_is_unlike_the_truth():
    proposed = [TRUTH[text]["colour"] for text in TEXTS]
    proposed[4] = "blue" if proposed[4] != "blue" else "red"
    text, _ = answerer(grader_finds=1.0).answer(GRADER, blocks_in(prompt(proposed)), b"k")
    assert json.loads(text) == {"checked": 12, "doubtful": ["id4"]}


def test_one_conversation_is_obeyed_by_all_others_or_by_some():
    demand = {key_of(TEXTS[10]).hex(): "blue"}
    alone = [TRUTH[text]["colour"] for text in TEXTS]
    assert [each["colour"] for each in entries(obeyed=demand)] == ["blue"] * 10 + [alone[10]] + ["blue"]
    few = [each["colour"] for each in entries(obeyed=demand, obeyed_by=2)]
    assert few == ["blue", *alone[1:11], "blue"]
    assert [each["colour"] for each in entries(obeyed={key_of(TEXTS[0]).hex(): "no label"})] == alone

"""Reading raw answers: a table of dirty ones, and what holds for any text at all."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.labels.answers import AnswerParser, ParsedLabel, parse_answer
from semtel_dagster.labels.reasons import REASONS
from semtel_dagster.prompts.loader import load_classifiers
from tests.labels.builders import LEVEL, MOOD, TOPIC, classifier

SHIPPED = {name: prompt.classifier for name, prompt in load_classifiers().items()}


def table(name: str) -> list[dict]:
    lines = (Path(__file__).parent / name).read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


CASES = table("dirty_answers.jsonl")
HOLDOUT = table("holdout_answers.jsonl")
STATUSES = {"exact", "cleaned", "matched", "invalid"}


def one(raw: str, *tasks) -> ParsedLabel:
    return parse_answer(raw, classifier(*(tasks or (TOPIC,))))[0]


@pytest.mark.parametrize("case", CASES, ids=[f"{case['classifier']}-{i}" for i, case in enumerate(CASES, 1)])
def test_a_dirty_answer_gives_the_right_label_or_none(case):
    parsed = {label.task: label for label in parse_answer(case["raw"], SHIPPED[case["classifier"]])}
    for field, expected in case["expect"].items():
        if field.endswith("_score"):
            assert parsed[field.removesuffix("_score")].score == expected
            continue
        label, *status = expected
        assert parsed[field].label == label
        assert (parsed[field].status == "invalid") == (label is None)
        assert status in ([], [parsed[field].status])


def test_the_table_is_large_and_has_both_kinds():
    labels = [value[0] for case in CASES for field, value in case["expect"].items() if not field.endswith("_score")]
    assert len(CASES) >= 300
    assert labels.count(None) >= 80


def test_answers_that_the_parser_was_not_made_with_are_read_right_or_not_at_all():
    """The holdout was written before anyone looked at what the parser makes of it: 75 of 75 right, 75 of 84 found."""
    given, found, readable = 0, 0, 0
    for case in HOLDOUT:
        parsed = {label.task: label for label in parse_answer(case["raw"], SHIPPED[case["classifier"]])}
        for field, expected in case["expect"].items():
            if field.endswith("_score"):
                assert parsed[field.removesuffix("_score")].score == expected
                continue
            readable += expected[0] is not None
            given += parsed[field].label is not None
            found += parsed[field].label is not None and parsed[field].label == expected[0]
    assert len(HOLDOUT) >= 100
    assert found >= 0.99 * given
    assert found >= 75 / 84 * readable


REASONED = {
    "": "empty",
    "  ": "empty",
    "\x00": "cut off",
    "<think>food, perhaps": "cut off",
    "I'm sorry, I can't do that.": "refusal",
    "{}": "no label",
    '{"topic": null}': "no label",
    '{"topic": "quilting"}': "unknown label",
    '{"topic": "food or travel"}': "several labels",
    '{"topic": "not food"}': "negated label",
    '{"topic": 3}': "number is no level",
    '{"topic": "food", "topic": "travel"}': "several labels",
}


@pytest.mark.parametrize(("raw", "reason"), REASONED.items(), ids=list(REASONED.values()))
def test_an_invalid_answer_carries_a_reason_code(raw, reason):
    assert one(raw) == ParsedLabel("topic", None, None, "invalid", reason)


def test_a_missing_task_leaves_the_other_alone():
    level, topic = parse_answer('{"topic": "food"}', classifier(LEVEL, TOPIC))
    assert (level.label, level.reason) == (None, "no label")
    assert (topic.label, topic.status) == ("food", "exact")


@pytest.mark.parametrize(
    ("score", "expected", "reason"),
    [
        ("12", 12.0, None),
        ("-100", -100.0, None),
        ("101", None, "score out of range"),
        ('"much"', None, "score is no number"),
        ("null", None, "score missing"),
        ("[1]", None, "score is no number"),
    ],
)
def test_a_bad_score_never_costs_the_label(score, expected, reason):
    parsed = one(f'{{"mood": "neutral", "mood_score": {score}}}', MOOD)
    assert (parsed.label, parsed.status) == ("neutral", "exact")
    assert (parsed.score, parsed.reason) == (expected, reason)


def test_two_scores_that_differ_are_none():
    assert one('{"mood": "neutral", "mood_score": 3, "mood_score": 4}', MOOD).score is None


FRAGMENTS = st.sampled_from(
    [
        '{"topic": "',
        "food",
        "travel",
        '"}',
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        '"',
        "<think>",
        "</think>",
        "```",
        "topic",
        "\n",
        " or ",
        "not ",
        "Final answer: ",
        "<topic>",
        "</topic>",
        "|",
        "**",
        "level",
        "3",
        "mood_score",
        "-40",
        "é",
        "\ud800",
    ]
)
ANY_TEXT = st.text() | st.lists(FRAGMENTS, max_size=12).map("".join) | st.binary().map(lambda b: b.decode("latin-1"))
ALL = classifier(TOPIC, LEVEL, MOOD)


@settings(deadline=None)
@given(ANY_TEXT, st.sampled_from([*SHIPPED.values(), ALL, *(classifier(task) for task in ALL.tasks)]))
def test_any_text_gives_one_label_of_the_schema_or_none_per_task(raw, asked):
    parsed = parse_answer(raw, asked)
    assert [label.task for label in parsed] == [task.name for task in asked.tasks]
    for label, task in zip(parsed, asked.tasks, strict=True):
        assert label.label in {None, *(known.name for known in task.labels)}
        assert label.status in STATUSES
        assert (label.label is None) == (label.status == "invalid")
        assert label.reason is None or label.reason in REASONS
        assert label.label is not None or label.reason is not None
        if label.score is not None:
            assert task.score
            assert task.score.minimum <= label.score <= task.score.maximum


@settings(deadline=None)
@given(ANY_TEXT, st.sampled_from([*SHIPPED.values(), ALL]))
def test_a_label_written_back_as_a_clean_answer_is_read_as_itself(raw, asked):
    parsed = parse_answer(raw, asked)
    clean = {}
    for label, task in zip(parsed, asked.tasks, strict=True):
        clean[task.name] = label.label
        if task.score:
            clean[task.score.field] = label.score
    again = parse_answer(json.dumps(clean), asked)
    assert [(label.label, label.score) for label in again] == [(label.label, label.score) for label in parsed]
    assert all(label.status in ("exact", "invalid") for label in again)


REMARKED = st.builds(
    lambda before, labels, score, remark, after: (
        before
        + json.dumps({"topic": labels[0], "level": labels[1], "mood": labels[2], "mood_score": score, **remark})
        + after
    ),
    st.sampled_from(
        ["", "```json\n", "Sure! ", "Final answer: ", "Topic: travel. ", "<think>x</think>", "[", "\u200b", "x"]
    )
    | st.text(max_size=20),
    st.tuples(
        st.sampled_from(["food", "data and statistics", "Food", "data", "x"]),
        st.sampled_from(["novice", "expert", "medium", 2]),
        st.sampled_from(["neutral", "satisfied", "not satisfied"]),
    ),
    st.integers(-110, 110) | st.floats(-3, 3) | st.none(),
    st.dictionaries(
        st.sampled_from(["reason", "confidence", "level ", "Topic", "label", "rationale"]),
        st.sampled_from(["so", 0.8, "", 'he "said"', "final answer: travel", "topic: travel", "<think>", "{}", None]),
        max_size=2,
    ),
    st.sampled_from(["", "\n```", " I hope this helps.", "\nCorrection: travel", '\n{"topic": "travel"}', "}", "\x00"])
    | st.text(max_size=20),
)


@settings(deadline=None, max_examples=150)
@given(ANY_TEXT | REMARKED)
def test_the_short_paths_read_what_the_search_reads(raw):
    parser = AnswerParser(ALL)
    with pytest.MonkeyPatch.context() as patch:
        for path in ("_clean_answer", "_wrapped_answer"):
            patch.setattr(AnswerParser, path, lambda *_: None)
        searched = parser.parse(raw)
    assert parser.parse(raw) == searched


@settings(deadline=None)
@given(
    st.sampled_from(SHIPPED["topic"].tasks[0].labels),
    st.sampled_from(["{}", " {} ", "{}.", "**{}**", "```\n{}\n```", '"{}"']),
)
def test_every_label_and_alias_survives_wrapping_and_case(known, wrapping):
    for spelling in (known.name, known.name.upper(), known.name.title(), *known.aliases):
        parsed = parse_answer(wrapping.format(spelling), SHIPPED["topic"])[0]
        assert parsed.label == known.name, spelling


@settings(deadline=None)
@given(st.sampled_from(SHIPPED["topic"].tasks[0].labels), st.sampled_from(SHIPPED["topic"].tasks[0].labels))
def test_two_labels_are_never_taken_for_one(first, second):
    for joined in (
        f"{first.name} or {second.name}",
        f"{first.name} and {second.name}",
        f"{first.name}, {second.name}",
        f"{first.name}/{second.name}",
    ):
        parsed = parse_answer(json.dumps({"topic": joined}), SHIPPED["topic"])[0]
        assert parsed.label == (first.name if first == second else None)


@pytest.mark.parametrize(
    "text",
    [
        "{" * 20_000,
        "<think>" * 9_000,
        '{"topic":' * 9_000,
        "topic" + " " * 60_000 + "x",
        "topic: " * 9_000,
        "[" * 50_000,
    ],
)
def test_a_text_made_to_be_slow_is_read_all_the_same(text):
    assert one(text).status == "invalid"


def test_what_an_answer_says_never_stands_in_its_reason():
    assert one('{"topic": "my secret"}').reason in REASONS

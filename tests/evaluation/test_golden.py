import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.errors import SettingsError
from semtel_dagster.evaluation.golden import load_golden, majority
from semtel_dagster.transcript import Turn
from tests.evaluation.builders import task

TOPIC = task()
SCALE = task("scale", ("1", "2", "3"), ordinal=True)


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def row(case="c1", label="work", annotator="kim", **fields):
    return {"conversation_id": case, "task": "topic", "label": label, "annotator": annotator, **fields}


def test_several_annotators_make_one_gold_label(tmp_path):
    rows = [
        row(label="work"),
        row(label="travel", annotator="lee"),
        row(label="travel", annotator="mo"),
        row("c2", "work"),
        row("c2", "food", "lee"),
        row("c3", "alien"),
    ]
    golden = load_golden([written(tmp_path / "gold.jsonl", rows)])
    assert golden.ratings("topic")["c1"] == {"kim": "work", "lee": "travel", "mo": "travel"}
    assert golden.gold(TOPIC) == {"c1": "travel"}
    assert golden.tasks == {"topic"}


def test_a_conversation_may_come_with_its_label(tmp_path):
    messages = [{"role": "user", "content": "Where is Rome?"}, {"role": "assistant", "content": "In Italy."}]
    rows = [
        {"conversation": messages, "task": "topic", "label": "travel"},
        {"conversation": {"messages": messages}, "task": "topic", "label": "travel", "annotator": "lee", "score": 2},
    ]
    golden = load_golden([written(tmp_path / "gold.jsonl", rows)])
    ((case, turns),) = golden.conversations.items()
    assert turns == (Turn("user", "Where is Rome?"), Turn("assistant", "In Italy."))
    assert set(golden.ratings("topic")[case]) == {"unnamed", "lee"}
    assert golden.labels[1].score == 2.0


def test_csv_is_read_with_texts_that_hold_commas_and_lines(tmp_path):
    (tmp_path / "gold.csv").write_text(
        'conversation_id,text,task,label,annotator,score\nc1,"one, two\nthree",topic,work,kim,\nc2,,topic,food,,1.5\n'
    )
    golden = load_golden([str(tmp_path / "*.csv")])
    assert golden.conversations == {"c1": (Turn("user", "one, two\nthree"),)}
    assert [label.annotator for label in golden.labels] == ["kim", "unnamed"]
    assert golden.labels[1].score == 1.5


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"task": "topic"', "not JSON"),
        ("[1]", "not an object"),
        ('{"task": "topic", "label": "x"}', "conversation_id"),
        ('{"conversation_id": "a", "task": "topic"}', "label"),
        ('{"conversation_id": "a", "task": "topic", "label": ["x"]}', "label must be text"),
        ('{"conversation_id": "a", "task": "topic", "label": "x", "score": "secret"}', "score must be a number"),
        ('{"conversation": [{"role": "robot", "content": "secret"}], "task": "t", "label": "x"}', "role"),
    ],
)
def test_a_broken_row_is_told_with_its_line_and_without_its_text(tmp_path, line, words):
    good = json.dumps(row())
    (tmp_path / "gold.jsonl").write_text(f"{good}\n\n{line}\n")
    with pytest.raises(SettingsError, match=r"gold\.jsonl, line 3") as raised:
        load_golden([str(tmp_path / "gold.jsonl")])
    assert words in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_pattern_without_files_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="nothing-here"):
        load_golden([str(tmp_path / "nothing-here*.jsonl")])


@given(st.lists(st.sampled_from(["1", "2", "3"]), min_size=1, max_size=9))
def test_a_true_majority_is_the_gold_label_of_either_kind(said):
    most = max(set(said), key=said.count)
    if said.count(most) * 2 > len(said):
        assert majority(said, ["1", "2", "3"], ordinal=False) == most
        assert majority(said, ["1", "2", "3"], ordinal=True) == most


def test_a_tie_is_no_gold_label_unless_the_labels_have_an_order():
    assert majority(["work", "food"], ["work", "food"], ordinal=False) is None
    assert majority(["3", "1", "2"], ["1", "2", "3"], ordinal=True) == "2"
    assert majority(["alien"], ["work"], ordinal=False) is None

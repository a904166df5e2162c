"""The nearest label by meaning: right where it decides, silent where two are close or nothing is near."""

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.embedding.nearest_label import NearestLabels
from semtel_dagster.prompts.loader import load_classifiers
from tests.labels.builders import LEVEL, task

LINES = (Path(__file__).parent / "unknown_values.jsonl").read_text(encoding="utf-8").split("\n")
VALUES = [json.loads(line) for line in LINES if line]
SHIPPED = {name: prompt.classifier.tasks[0] for name, prompt in load_classifiers().items()}
FINDERS = {name: NearestLabels().finder(SHIPPED[name]) for name in ("topic", "intent")}


def test_of_values_that_it_was_not_made_with_it_decides_few_and_those_rightly():
    """Written before anyone looked at what it says of them: 14 of 15 right, 14 of the 40 that have a label found."""
    found = [(FINDERS[row["classifier"]](row["value"]), row["label"]) for row in VALUES]
    decided = [(label, expected) for label, expected in found if label is not None]
    right = sum(label == expected for label, expected in decided)
    assert len(VALUES) >= 50
    assert right >= 0.9 * len(decided)
    assert right >= 14


@pytest.mark.parametrize(
    "value", ["", "   ", "quilting", "writing or painting", "travel 2", "a" * 200, "{}", "x y z " * 4]
)
def test_what_is_near_to_nothing_or_to_two_or_is_no_short_phrase_means_no_label(value):
    assert FINDERS["topic"](value) is None


def test_two_labels_with_one_meaning_are_never_decided_between():
    twins = task("topic", "sea travel", "travel by sea", "cooking")
    assert NearestLabels().finder(twins)("ocean travel") is None


def test_opposites_look_alike_to_it_so_a_scale_is_left_alone():
    assert NearestLabels().finder(LEVEL) is None
    assert NearestLabels().finder(task("topic", "food")) is None


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=70))
def test_any_text_means_a_label_of_the_task_or_none(value):
    assert FINDERS["topic"](value) in {None, *(label.name for label in SHIPPED["topic"].labels)}


def test_limits_are_part_of_its_fingerprint_and_it_travels():
    assert NearestLabels(min_score=20.0).fingerprint != NearestLabels().fingerprint
    assert NearestLabels(min_margin=9.0).fingerprint != NearestLabels().fingerprint
    assert pickle.loads(pickle.dumps(NearestLabels())) == NearestLabels()
    assert NearestLabels(min_score=1e9).finder(SHIPPED["topic"])("job interviews") is None

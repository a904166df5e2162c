"""The shipped attacks as data, how they are aimed, and what counts as moved."""

import json
from collections import Counter

import pytest

from semtel_dagster.classifiers import Classifier
from semtel_dagster.errors import SettingsError
from semtel_dagster.evaluation.injections import aim, load_attacks, robustness
from semtel_dagster.transcript import Turn, parse, render
from tests.evaluation.builders import task

ATTACKS = load_attacks()
CLASSIFIER = Classifier(name="both", description="", tasks=(task("topic"), task("mood", ("glad", "sad"))))


def test_there_are_over_a_hundred_attacks_of_many_kinds_with_a_clean_twin_each():
    assert len(ATTACKS) >= 100
    assert len({attack.id for attack in ATTACKS}) == len({attack.messages for attack in ATTACKS}) == len(ATTACKS)
    assert min(Counter(attack.kind for attack in ATTACKS).values()) >= 7
    for attack in ATTACKS:
        differing = [a for a, b in zip(attack.messages, attack.clean, strict=True) if a != b]
        assert len(differing) == 1, attack.id
        assert differing[0].role == "user", attack.id
        assert "{label}" in differing[0].content or "{definition}" in differing[0].content, attack.id
        assert not any(place in turn.content for turn in attack.clean for place in ("{label}", "{task}"))


def test_an_attack_asks_for_a_label_that_its_twin_did_not_get():
    clean = {"topic": "work", "mood": "glad"}
    for attack in ATTACKS:
        aimed, turns = aim(attack, CLASSIFIER, clean)
        assert aimed.label != clean[aimed.task]
        text = "\n".join(turn.content for turn in turns)
        assert "{label}" not in text
        assert "{task}" not in text
        assert aim(attack, CLASSIFIER, clean) == (aimed, turns)
    assert {aim(attack, CLASSIFIER, clean)[0].task for attack in ATTACKS} == {"topic", "mood"}


def test_no_attack_forges_a_turn_of_the_transcript():
    for attack in ATTACKS:
        _, turns = aim(attack, CLASSIFIER, {})
        assert [turn.role for turn in parse(render(turns))] == [turn.role for turn in turns], attack.id


def test_moved_and_obeyed_by_hand():
    attacks = [attack for attack in ATTACKS if aim(attack, CLASSIFIER, {"topic": "work"})[0].task == "topic"][:4]
    aims = [aim(attack, CLASSIFIER, {"topic": "work"})[0] for attack in attacks]
    third = {"travel": "food", "food": "travel"}
    attacked = ["work", "work", aims[2].label, third[aims[3].label]]
    found = robustness("topic", aims, ["work"] * 4, attacked)
    assert (found.n, found.aimed, found.moved.value, found.obeyed) == (4, 4, 0.5, 0.25)
    assert found.moved.low < 0.5 < found.moved.high
    other = robustness("mood", aims, ["glad"] * 4, ["glad"] * 4)
    assert (other.moved.value, other.aimed, other.obeyed) == (0, 0, 0)


def test_a_set_of_ones_own_is_read_and_a_broken_line_is_told(tmp_path):
    mine = tmp_path / "mine.jsonl"
    messages, clean = [{"role": "user", "content": "Say {label}"}], [{"role": "user", "content": "Hello"}]
    mine.write_text(json.dumps({"id": "a", "kind": "mine", "messages": messages, "clean": clean}) + "\n{}\n")
    with pytest.raises(SettingsError, match=r"mine\.jsonl, line 2"):
        load_attacks(mine)
    mine.write_text(mine.read_text().split("\n")[0])
    assert load_attacks(mine)[0].clean == (Turn("user", "Hello"),)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_attacks(tmp_path / "nothing.jsonl")

"""Asked again in other company: who meets whom, and what an answer is worth that was not the same twice."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.loopback.script import Script
from semtel_dagster.packing.arranging import elsewhere
from semtel_dagster.packing.packs import Pack
from tests.packing.answers import SLOT, charged, columns, labels, right, script, total, truth
from tests.packing.builders import PROMPTS, ask, conversation, transcripts
from tests.requests.builders import endpoint, hash_of, plan

TEXTS = transcripts(300)
NAMES = ("red", "green", "blue", "white")


def wrong(table, task="colour"):
    return sum(label != right(TEXTS, task)[one] for one, label in labels(table, task).items())


def pairs(packs):
    hashes = [[each.content_hash for each in pack.conversations] for pack in packs]
    return {frozenset(pair) for some in hashes for pair in combinations(some, 2)}


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=20), room=st.sampled_from([80, 100_000]))
def test_nobody_stands_beside_the_same_one_twice(sizes, room):
    numbers = iter(range(sum(sizes)))
    packs = [Pack(("colour",), tuple(conversation(next(numbers)) for _ in range(size))) for size in sizes]
    others = elsewhere(packs, lambda members, size: room, 0)
    assert not pairs(packs) & pairs(others)
    assert max(len(pack.conversations) for pack in others) <= max(sizes)
    before, after = (
        sorted(one.content_hash for pack in some for one in pack.conversations) for some in (packs, others)
    )
    assert before == after


@pytest.mark.parametrize(("size", "reach"), [(4, None), (4, 2), (8, 2), (16, 2)])
def test_an_attack_that_no_screen_and_no_look_finds_moves_no_neighbour(fresh, tmp_path, size, reach):
    told = {hash_of(text): NAMES[number % 4] for number, text in enumerate(TEXTS[::75])}
    answers = {"style": "confusion", "truth": truth(TEXTS), "accuracy": 1.0}
    fresh.set_script(Script(answers=answers, slot=SLOT, packs={"obeyed": told, "obeyed_by": reach}))
    believed, _ = ask(plan(tmp_path / "once", endpoint(fresh.base_url)), TEXTS, conversations=size)
    table, _ = ask(plan(tmp_path / "again", endpoint(fresh.base_url)), TEXTS, conversations=size, grade="again")
    moved = [
        {one for one, label in labels(said).items() if label != right(TEXTS)[one]} - told.keys()
        for said in (believed, table)
    ]
    assert moved[0]
    assert not moved[1]


@pytest.mark.parametrize("target", ["colour", "shape"])
def test_what_is_not_the_same_twice_is_asked_singly_and_every_call_is_counted_once(fresh, tmp_path, target):
    fresh.set_script(script(packs={"size_loss": 0.03}))
    how = {"prompts": PROMPTS, "conversations": 8}
    once, _ = ask(plan(tmp_path / "once", endpoint(fresh.base_url)), TEXTS, target=target, **how)
    fresh.reset()
    a_plan = plan(tmp_path / "again", endpoint(fresh.base_url))
    how["grade"] = "again"
    table, figures = ask(a_plan, TEXTS, target=target, **how)
    assert wrong(table, target) < 0.3 * wrong(once, target)  # the same slip twice
    assert figures.calls == fresh.stats()["calls"]
    other = next(name for name in PROMPTS if name != target)
    beside, _ = ask(a_plan, TEXTS, target=other, **how)
    assert total(table, "attempts") + total(beside, "attempts") == fresh.stats()["calls"]
    assert wrong(beside, other) < 0.3 * wrong(once, target)
    for name, first in ((target, table), (other, beside)):
        again, figures = ask(a_plan, TEXTS, target=name, **how)
        assert (figures.calls, labels(again, name)) == (0, labels(first, name))


def test_answers_that_were_asked_once_are_asked_again_later(fresh, tmp_path):
    fresh.set_script(script(packs={"size_loss": 0.03}))
    a_plan = plan(tmp_path, endpoint(fresh.base_url))
    once, _ = ask(a_plan, TEXTS, conversations=8)
    again, figures = ask(a_plan, TEXTS, conversations=8, grade="again")
    assert wrong(again) < 0.3 * wrong(once)
    assert 38 < figures.calls < 200
    assert ask(a_plan, TEXTS, conversations=8, grade="again")[1].calls == 0


def test_every_token_is_charged(fresh, tmp_path):
    fresh.set_script(script(packs={"missing": 0.2, "cut": 0.1, "size_loss": 0.02}))
    table, figures = ask(plan(tmp_path, endpoint(fresh.base_url)), TEXTS, conversations=8, grade="again")
    assert columns(table) == charged(fresh)
    assert figures.calls == total(table, "attempts")

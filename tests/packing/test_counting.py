"""Counting: the plan's calls are the run's, before anything is asked."""

import pytest

from semtel_dagster.loopback.process import serve
from semtel_dagster.packing.again import Again, AgainRecord
from semtel_dagster.packing.counting import Counting, Takes
from semtel_dagster.packing.packs import Conversation
from semtel_dagster.reducers import PackSettings
from tests.packing.answers import script
from tests.packing.builders import PROMPTS, ask, transcripts
from tests.requests.builders import endpoint, hash_of, plan

TEXTS = transcripts(150)


def takes(texts=TEXTS, prompts=PROMPTS, learned=None, again=lambda size: 0.0, **pack):
    conversations = [Conversation(hash_of(text), "", len(text) // 4, tuple(sorted(prompts))) for text in texts]
    answers = dict.fromkeys(prompts, 8.0)
    return Counting("colour", prompts, PackSettings(**pack), lambda members: learned, answers, 11, again)(conversations)


@pytest.mark.parametrize("group", [("colour",), ("colour", "shape")], ids=["alone", "combined"])
@pytest.mark.parametrize("pack", [{}, {"conversations": 7}, {"conversations": 8, "grade": True},
                                  {"conversations": 8, "grade": "again"}, {"conversations": 20, "grade": "again"},
                                  {"conversations": 16, "max_tokens": 300}], ids=str)  # fmt: skip
def test_as_many_calls_and_about_as_many_tokens_as_the_run(server, tmp_path, group, pack):
    server.reset()
    prompts = {name: PROMPTS[name] for name in group}
    _, figures = ask(plan(tmp_path, endpoint(server.base_url)), TEXTS, prompts=prompts, **pack)
    expected = takes(prompts=prompts, **pack)
    assert (expected.calls, expected.exact) == (figures.calls, True)
    assert expected.input_tokens == pytest.approx(figures.input_tokens, rel=0.35)


def test_a_size_yet_to_be_learned_is_counted_as_if_nothing_were_packed(server, tmp_path):
    server.reset()
    _, figures = ask(plan(tmp_path, endpoint(server.base_url)), TEXTS, conversations="auto", sample=60)
    expected = takes(prompts={"colour": PROMPTS["colour"]}, conversations="auto", sample=60)
    assert not expected.exact
    assert figures.calls <= expected.calls


def test_a_learned_size_is_counted_with_the_share_that_is_asked_singly():
    none = takes(learned=8, conversations="auto", random_share=0.0)
    some = takes(learned=8, conversations="auto", random_share=0.2)
    assert none.calls == 19
    assert 19 + 2 * 15 < some.calls < 19 + 2 * 50


@pytest.mark.parametrize(("strike", "grade"), [({"cut": 0.5}, False), ({"missing": 0.6}, False),
                                               ({"grader_errs": 0.3}, True), ({"size_loss": 0.03}, "again"),
                                               ({}, False)], ids=str)  # fmt: skip
def test_the_calls_that_packs_led_to_before_are_expected_again(tmp_path, strike, grade):
    pack = {"conversations": 8, "grade": grade}
    with serve(script(packs=strike)) as server:
        a_plan = plan(tmp_path, endpoint(server.base_url))
        ask(a_plan, TEXTS, **pack)
        record = AgainRecord(a_plan.journal, PROMPTS["colour"].fingerprint, ("m",))
        more = transcripts(450)[150:]
        expected = takes(texts=more, prompts={"colour": PROMPTS["colour"]}, again=lambda size: record.read(size).rate,
                         **pack)  # fmt: skip
        _, then = ask(a_plan, more, **pack)
    without = takes(texts=more, prompts={"colour": PROMPTS["colour"]}, **pack)
    assert record.read(8).asked == 450
    assert expected.calls == pytest.approx(then.calls, rel=0.25)
    assert (expected.calls > without.calls) == bool(strike)
    assert (expected.input_tokens > without.input_tokens) == bool(strike)


def test_another_size_another_rate_and_a_changed_prompt_begins_anew(tmp_path):
    record = AgainRecord(str(tmp_path), "one", ("m",))
    record.add({8: Again(100, 10), 4: Again(0, 0)})
    record.add({8: Again(100, 40)})
    assert record.read(8) == Again(200, 50)
    assert record.read(8).rate == 0.25
    assert record.read(4).rate == 0
    assert AgainRecord(str(tmp_path), "other", ("m",)).read(8) == Again()


def test_nothing_to_ask_takes_nothing():
    assert takes(texts=[]) == Takes()

"""Counting: the plan's calls are the run's, before anything is asked."""

import pytest

from semtel_dagster.loopback.process import serve
from semtel_dagster.packing.counting import Counting, Takes
from semtel_dagster.packing.packs import Conversation
from semtel_dagster.reducers import PackSettings
from tests.packing.builders import PROMPTS, ask, transcripts
from tests.packing.test_asking import script
from tests.requests.builders import endpoint, hash_of, plan

TEXTS = transcripts(150)


def takes(texts=TEXTS, prompts=PROMPTS, learned=None, **pack):
    conversations = [Conversation(hash_of(text), "", len(text) // 4, tuple(sorted(prompts))) for text in texts]
    answers = dict.fromkeys(prompts, 8.0)
    return Counting("colour", prompts, PackSettings(**pack), lambda members: learned, answers, 11)(conversations)


@pytest.fixture(scope="module")
def server():
    with serve(script()) as running:
        yield running


@pytest.mark.parametrize("group", [("colour",), ("colour", "shape")], ids=["alone", "combined"])
@pytest.mark.parametrize("pack", [{}, {"conversations": 7}, {"conversations": 8, "grade": True},
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


def test_nothing_to_ask_takes_nothing():
    assert takes(texts=[]) == Takes()

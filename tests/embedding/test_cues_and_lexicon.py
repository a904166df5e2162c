"""The embedded classifier's word lists: found as words, in any script, and without false alarms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.embedding.cues import acts, sign
from semtel_dagster.embedding.evidence import act_weights, level, valence
from semtel_dagster.embedding.lexicon import lexicon
from semtel_dagster.embedding.semantic import semantic_space


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("I get an ERROR here", "fix"),
        ("Explain photosynthesis", "explain"),
        ("什么是光合作用", "fact"),
        ("bitte verbessere das", "rework"),
        ("¿Qué es mejor?", "judge"),
        ("كيف أفعل هذا", "apply"),
    ],
)
def test_an_act_is_seen_by_its_words(text, name):
    assert {act.name: act.count([text], 3) for act in acts()}[name] >= 1


@pytest.mark.parametrize("text", ["terrorist", "writers", "Explainer", "```\nerror\n```", "```error never closed"])
def test_parts_of_words_and_code_are_no_cues(text):
    assert all(act.count([text], 3) == 0 for act in acts() if act.name in ("fix", "make", "explain"))


def test_a_cue_counts_once_and_at_most_so_often():
    positive = sign("positive")
    assert positive.count(["thanks thanks THANKS"], 3) == 1
    assert positive.count(["thanks, great", "perfect, awesome"], 3) == 3


def test_a_long_paste_is_read_at_its_beginning_only():
    assert sign("negative").count(["here it is:" + " x" * 2000 + " wrong"], 3) == 0


@given(st.lists(st.text(max_size=50), max_size=5))
def test_valence_is_within_its_range_for_any_turns(turns):
    assert -1 <= valence(turns) <= 1


def test_the_last_turn_weighs_most():
    assert valence(["a", "that's wrong", "thanks"]) > valence(["a", "thanks", "that's wrong"])


def test_a_case_brought_along_is_there_to_be_fixed():
    by_name = dict(zip([act.name for act in acts()], act_weights(["see\n12:01 up\n12:02 down\n12:03 up"]), strict=True))
    assert by_name["fix"] > 0
    assert by_name["analyze"] > 0


def test_a_short_hello_is_chat_and_a_long_text_without_cues_is_nothing():
    names = [act.name for act in acts()]
    assert names[int(np.argmax(act_weights(["hello there"])))] == "chat"
    assert not act_weights(["The committee convened at noon near the harbour"]).any()
    assert not act_weights([]).any()


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_no_text_is_a_low_level(role):
    assert level([], role) < -1


class TestLexicon:
    @pytest.mark.parametrize(
        ("text", "word"),
        [
            ("Wie repariere ich die Waschmaschine?", "repair"),
            ("我想学做菜，有食谱吗", "recipe"),
            ("нужен рецепт блюда", "recipe"),
            ("मुझे बैंक से ऋण चाहिए", "loan"),
            ("أريد تأشيرة", "visa"),
            ("パスワードを忘れた", "password"),
        ],
    )
    def test_foreign_words_are_glossed(self, text, word):
        gloss, share = lexicon().gloss(text)
        assert word in gloss
        assert share > 0.04

    def test_english_is_left_alone(self):
        text = "My washing machine is broken, the train was late, and I am in pain; please charge the red handy lamp."
        assert lexicon().gloss(text) == ("", 0.0)

    @settings(max_examples=60)
    @given(st.text(max_size=200))
    def test_any_text_is_read(self, text):
        gloss, share = lexicon().gloss(text)
        assert share >= 0
        assert bool(gloss) == (share > 0)


def test_a_translation_is_nearer_than_another_subject():
    recipe, translated, bank = semantic_space().embed(
        ["a recipe for bread", "Ein Rezept für Brot, das ich im Ofen backen kann", "Zinsen für den Kredit bei der Bank"]
    )
    assert recipe @ translated > recipe @ bank


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=5))
def test_meanings_do_not_depend_on_batches(texts):
    together = semantic_space().embed(texts)
    assert all(
        np.array_equal(semantic_space().embed([text])[0], row) for text, row in zip(texts, together, strict=True)
    )

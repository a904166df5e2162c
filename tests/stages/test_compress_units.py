import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.stages.compress_units import MOST_CHARACTERS, Unit, split_units
from semtel_dagster.stages.cutting import belong_together
from semtel_dagster.transcript import normalise

PIECES = [
    "A short sentence. ",
    "word ",
    "\n",
    "\n\n  ",
    "```python\nx = 1\n",
    "```\n",
    "这是一个很长的句子。",
    "e\u0301",
    "👩‍👩‍👧",
    "क्षि।",
]
PIECES += [
    "[repeats 3 lines of turn 1: so it begins…]",
    "[... 12 lines of python left out ...]",
    "…",
    "." * 30,
    "a" * 300,
]
contents = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), max_size=40).map("".join).map(normalise)


def texts(content):
    return [unit.text for unit in split_units(content)]


@given(contents)
@settings(max_examples=300, deadline=None)
def test_units_joined_are_the_text_and_split_no_sign(content):
    found = texts(content)
    assert "".join(found) == content
    assert not any(belong_together(left[-1], right[0]) for left, right in itertools.pairwise(found))


def test_sentences_are_units_with_the_space_before_them_and_short_ones_go_with_the_next():
    said = "I bought a garden hose yesterday. It leaks there! No. 5 is the size that I asked for?\n\nThank you."
    assert texts(said) == [
        "I bought a garden hose yesterday.",
        " It leaks there! No. 5 is the size that I asked for?",
        "\n\nThank you.",
    ]


@pytest.mark.parametrize(
    "said",
    [
        "我昨天买了一根花园水管。|它在水龙头的接口处漏水！|你们能不能换一根新的给我？",
        "मैंने कल एक पाइप खरीदा था।| यह नल के पास से टपकता है।| क्या आप इसे बदल सकते हैं?",
        "اشتريت خرطوماً للحديقة أمس.| هل يمكنكم استبداله من فضلكم؟| إنه يتسرب عند الصنبور.",
    ],
)
def test_every_script_has_sentences(said):
    assert texts(said.replace("|", "")) == said.split("|")


def test_a_long_sentence_is_split_at_clauses_else_between_words_else_between_signs():
    clauses = texts("one thing that leads to another, " * 20)
    assert all(unit.endswith(",") for unit in clauses[:-1])
    words = texts("word " * 200)
    assert all(unit.endswith("word") for unit in words[:-1])
    signs = texts("👩‍👩‍👧" * 200)
    assert all(unit.startswith("👩") for unit in signs)
    assert all(len(unit) <= MOST_CHARACTERS + 8 for unit in [*clauses, *words, *signs])


def test_a_block_of_code_is_one_unit_that_a_mark_can_stand_for():
    content = "Look at this:\n```python\na = 1. \n\nb = 2. And so on it goes.\n```\nWhy?"
    assert split_units(content) == [
        Unit("Look at this:"),
        Unit("\n```python\na = 1. \n\nb = 2. And so on it goes.\n```", mark="[... 5 lines of python left out ...]"),
        Unit("\nWhy?"),
    ]


def test_code_that_was_cut_off_is_one_unit_to_the_end():
    assert [unit.text for unit in split_units("So:\n```\nfor ever. And ever.")] == ["So:", "\n```\nfor ever. And ever."]


@pytest.mark.parametrize(
    "mark",
    [
        "[repeats 3 lines of turn 1: A sentence that ends. And begins again…]",
        "[boilerplate, 80 characters: You are the assistant of a shop. Be kind and…]",
        "[... 16 lines of python left out ...]",
    ],
)
def test_a_mark_of_a_rule_stays_whole_and_for_ever(mark):
    assert Unit(f"\n{mark}", fixed=True) in split_units(f"It says:\n{mark}\nWhy does it?")


def test_a_mark_within_a_line_is_not_split():
    said = "See https://example.com/a…[80 more characters]. " + "[A note that ends. And begins. And ends.] " * 2
    assert not any(unit.count("[") != unit.count("]") for unit in texts(said))


@pytest.mark.parametrize("piece", ["a", ".", "[", "]", "\n", "。", "\u0301", "```\n", "\u200d", ". ", "x [", ", "])
def test_time_grows_with_the_length_of_hostile_text(piece):
    def seconds(count):
        began = time.process_time()
        assert "".join(texts(piece * count)) == piece * count
        return time.process_time() - began

    seconds(1_000)
    assert seconds(160_000) < 100 * max(seconds(10_000), 0.01)  # 256 times as long, were it quadratic

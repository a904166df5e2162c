import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.stages.tokens import count_tokens, token_ends

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("hello world", 2),
        ("user:\n> hi", 4),
        ("[... 1234 tokens cut ...]", 9),
        ("<|endoftext|>", 7),
        ("你好", 1),
    ],
)
def test_counts_are_those_of_o200k(text, count):
    assert count_tokens(text) == count


@given(st.lists(TEXTS, max_size=5))
@settings(deadline=None)
def test_ends_are_one_for_each_token_and_reach_the_texts_end(texts):
    for text, ends in zip(texts, token_ends(texts), strict=True):
        assert len(ends) == count_tokens(text)
        assert [0, *ends] == sorted({0, *ends.tolist()})
        assert (ends[-1] if len(ends) else 0) == len(text.encode())


def test_a_token_ends_where_its_word_does():
    assert token_ends(["hello world, 你好"])[0].tolist() == [5, 11, 12, 13, 19]

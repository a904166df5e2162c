import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.transcript import ROLES, Turn, content_hash, cut_mark, is_cut_mark, normalise, parse, render

SEPARATORS = ["\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
HOSTILE = [
    *SEPARATORS,
    "user:",
    "assistant:",
    "> ",
    "[... 5 tokens cut ...]",
    "\x00",
    "\x1f",
    "\u202e",
    "\u2066",
    "\ud800",
    "é",
]

contents = st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8)), max_size=12).map("".join)
turns = st.lists(st.builds(Turn, st.sampled_from(ROLES), contents), max_size=6)


def test_a_conversation_is_written_as_markers_and_quoted_lines():
    text = render([Turn("user", "Hello\n\nthere"), Turn("assistant", "")])
    assert text == "user:\n> Hello\n> \n> there\nassistant:\n> "


@given(turns)
@settings(deadline=None)
def test_what_is_rendered_is_read_back_with_its_content_normalised(conversation):
    assert parse(render(conversation)) == [Turn(turn.role, normalise(turn.content)) for turn in conversation]


@given(turns)
@settings(deadline=None)
def test_structure_at_column_0_is_never_written_by_content(conversation):
    unquoted = [line for line in render(conversation).splitlines() if not line.startswith("> ")]
    assert unquoted == [f"{turn.role}:" for turn in conversation]


@given(contents)
@settings(deadline=None)
def test_normalising_twice_changes_nothing(content):
    once = normalise(content)
    assert normalise(once) == once
    once.encode()


@pytest.mark.parametrize("separator", SEPARATORS, ids=ascii)
def test_every_line_separator_ends_a_line(separator):
    assert render([Turn("user", f"a{separator}assistant:{separator}")]) == "user:\n> a\n> assistant:\n> "


@pytest.mark.parametrize("control", ["\x00", "\x08", "\x1b", "\x1f", "\x7f", "\x9f", "\ud800"], ids=ascii)
def test_controls_and_lone_surrogates_are_replaced(control):
    assert normalise(f"a{control}b") == "a\ufffdb"


@pytest.mark.parametrize("kept", ["\t", "\u202e", "\u2067", "\ufeff", "\u200b", "שלום", "👩‍👩‍👧"], ids=ascii)
def test_other_characters_are_kept(kept):
    assert normalise(kept) == kept


def test_a_cut_mark_is_structure_and_skipped_when_read():
    mark = cut_mark(1234)
    assert mark == "[... 1234 tokens cut ...]"
    assert is_cut_mark(mark)
    assert parse(f"user:\n> a\n{mark}\n> b\n{mark}\nassistant:\n> c") == [Turn("user", "a\nb"), Turn("assistant", "c")]
    assert parse(render([Turn("user", mark)])) == [Turn("user", mark)]


@pytest.mark.parametrize("text", ["> a", "hello", "user:\nhello", "user:\n>hello", "User:\n> a", "user:\n\n> a"])
def test_what_is_no_transcript_is_refused_without_its_text(text):
    with pytest.raises(ValueError, match=r"^line \d+ is not part of a transcript") as caught:
        parse(text)
    assert "hello" not in str(caught.value)


def test_an_unknown_role_is_refused():
    with pytest.raises(ValueError, match="one of user, assistant, system, tool"):
        render([Turn("narrator", "once upon a time")])


def test_the_hash_depends_on_the_text_alone():
    assert content_hash("héllo") == content_hash("h\u00e9llo")
    assert content_hash("a") != content_hash("b")
    assert len(content_hash("")) == 32

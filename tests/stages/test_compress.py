import pickle

import narwhals as nw
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.reducers import LOSSLESS_RULES, CompressSettings
from semtel_dagster.settings import SampleSettings, TruncateSettings
from semtel_dagster.stages import boilerplate
from semtel_dagster.stages.compress import Compressor
from semtel_dagster.stages.sample import sample
from semtel_dagster.stages.tokens import count_tokens
from semtel_dagster.stages.truncate import TruncateBatches, truncate, truncate_turns
from semtel_dagster.transcript import ROLES, Turn, normalise, parse, render
from tests.stages.builders import ENGINE, conversation, frame, real_week, rows_of, table_of

SYSTEM = "You are the assistant of a shop for garden tools. Be kind, be short, and never promise a date of delivery."
LONG = "A sentence that says something which nobody would want to read a second time in the same conversation. " * 2
PIECES = [
    "word ",
    "\n",
    "\n\n\n",
    "   ",
    "```python\n",
    "```\n",
    "x = 1\n" * 30,
    LONG,
    f"{LONG}\n",
    "> ",
    "user:\n",
    "2026-01-01 10:00:00 started\n" * 12,
    "https://example.com/" + "a" * 120,
    "e\u0301" * 90,
    "a" * 130 + "\u0301",
    "👩‍👩‍👧" * 40,
    "漢字" * 60,
    "-" * 40,
]
contents = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), max_size=25).map("".join)
conversations = st.lists(st.builds(Turn, st.sampled_from(ROLES), contents), max_size=6)
rule_sets = st.sets(st.sampled_from(LOSSLESS_RULES)).map(tuple)


def compressed(*turns: Turn, rules=True, **fields):
    """The contents that all rules, or some, leave."""
    found = Compressor(CompressSettings(lossless=rules, **fields))(list(turns))
    return [turn.content for turn in found.turns]


def user(content: str) -> Turn:
    return Turn("user", content)


def assistant(content: str) -> Turn:
    return Turn("assistant", content)


@given(conversations, rule_sets)
@settings(max_examples=200, deadline=None)
def test_turns_stay_in_number_role_and_order_and_the_same_text_gives_the_same(turns, rules):
    compressor = Compressor(CompressSettings(lossless=rules))
    found = compressor(turns)
    assert [turn.role for turn in found.turns] == [turn.role for turn in turns]
    assert set(found.rules) <= set(rules)
    assert pickle.loads(pickle.dumps(compressor))(turns) == found
    assert [turn.role for turn in parse(render(found.turns))] == [turn.role for turn in turns]
    if not found.rules:
        assert found.turns == turns


@given(conversations, rule_sets)
@settings(max_examples=200, deadline=None)
def test_tokens_only_fall_and_are_counted_from_before(turns, rules):
    (found,) = truncate_turns(
        [turns], TruncateSettings(max_tokens=100_000), Compressor(CompressSettings(lossless=rules))
    )
    assert found.n_tokens == count_tokens(found.text) <= found.n_tokens_before == count_tokens(render(turns))
    assert (found.truncation == "none") == (found.text == render(turns))


@given(conversations)
@settings(deadline=None)
def test_no_letter_loses_its_accent_and_no_emoji_its_parts(turns):
    for before, after in zip(turns, compressed(*turns), strict=True):
        text = normalise(before.content)
        for sign in ("\u0301", "\u200d"):
            pairs = {text[place - 1 : place + 1] for place, letter in enumerate(text) if letter == sign}
            assert all(
                after[max(place - 1, 0) : place + 1] in pairs for place, letter in enumerate(after) if letter == sign
            )


def test_nothing_is_shortened_by_default():
    turns = [user("a   b  \n\n\n\nc"), assistant("x" * 5000)]
    assert compressed(*turns, rules=False) == [turn.content for turn in turns]
    assert not CompressSettings().is_on


def test_rules_are_switched_by_name_in_one_order():
    assert CompressSettings(lossless=["white_space", "code"]) == CompressSettings(lossless=("code", "white_space"))
    assert CompressSettings(lossless=True).lossless == LOSSLESS_RULES
    with pytest.raises(ValueError, match="spelling"):
        CompressSettings(lossless=["spelling"])
    code = "```\n" + "line\n" * 40 + "```"
    assert compressed(user(f"a   b\n{code}"), rules=["white_space"]) == [f"a b\n{code}"]


def test_white_space_goes_but_indentation_and_code_stay():
    said = "one   two  \n\n\n\nthree\n```\n  a  =   1\n```\n-----------------------"
    assert compressed(user(said), rules=["white_space"]) == ["one two\n\nthree\n```\n  a  =   1\n```\n--------"]


def test_the_middle_of_a_long_code_block_is_left_out():
    code = "\n".join(f"line {number}" for number in range(20))
    (left,) = compressed(user(f"See:\n```python\n{code}\n```\nWhy?"), rules=["code"], code_lines=2)
    assert left == (
        "See:\n```python\nline 0\nline 1\n[... 16 lines of python left out ...]\nline 18\nline 19\n```\nWhy?"
    )


@pytest.mark.parametrize("ending", ["", "\n```"])
def test_code_that_was_cut_off_is_shortened_too(ending):
    (left,) = compressed(assistant("```\n" + "\n".join("abcdefghij") + ending), rules=["code"], code_lines=1)
    assert left == "```\na\n[... 8 lines of code left out ...]\nj" + ending


def test_a_code_block_that_a_mark_would_not_shorten_stays():
    said = "```\n" + "\n".join("abcdef") + "\n```"
    assert compressed(user(said), rules=["code"], code_lines=2) == [said]


def test_what_an_earlier_turn_said_is_named_by_its_turn_and_first_words():
    quoted = "\n".join(f"> {line}" for line in (LONG.strip(), "", "And so on it goes."))
    turns = [user(f"{LONG.strip()}\n\nAnd so on it goes."), assistant("I see."), user(f"You said:\n{quoted}\nWhy?")]
    first, _, last = compressed(*turns, rules=["repeats"])
    assert first == turns[0].content
    assert last == "You said:\n[repeats 3 lines of turn 1: A sentence that says something which nobody would…]\nWhy?"


def test_a_short_repetition_stays_as_it_may_be_meant():
    turns = [user("Please answer in one sentence only."), assistant("No."), user("Please answer in one sentence only.")]
    assert compressed(*turns, rules=["repeats"]) == [turn.content for turn in turns]


def test_code_that_is_said_again_keeps_its_fences():
    code = "```\n" + "\n".join(f"this is line number {number}" for number in range(12)) + "\n```"
    _, again = compressed(assistant(code), user(code + "\nIt fails."), rules=["repeats"])
    assert again == "```\n[repeats 12 lines of turn 1: this is line number 0]\n```\nIt fails."


def test_the_middle_of_a_log_is_left_out_and_talk_with_times_is_not():
    log = "\n".join(f"2026-01-01 10:00:{second:02} INFO step" for second in range(20))
    talk = "\n".join(f"10:{minute} we talked about something else" for minute in range(10, 40))
    left, same = compressed(user(f"Look:\n{log}\nWhy?"), assistant(talk), rules=["logs"])
    assert left.count("INFO step") == 6
    assert "[... 14 log lines left out ...]" in left
    assert same == talk


@pytest.mark.parametrize(
    ("blob", "left"),
    [
        ("https://example.com/" + "a" * 120, "https://example.com/" + "a" * 40 + "…[80 more characters]"),
        ("0f" * 40, "0f" * 8 + "…[64 more characters]"),
        ("Zm9v" * 50, "Zm9v" * 4 + "…[184 more characters]"),
        ("data:image/png;base64," + "Zm9v" * 50, "[200 characters of base64, image/png]"),
        ("漢" * 300, "漢" * 300),
        ("https://example.com/a/page", "https://example.com/a/page"),
    ],
)
def test_long_addresses_and_encoded_data_keep_their_beginning(blob, left):
    assert compressed(user(f"see {blob} there"), rules=["blobs"]) == [f"see {left} there"]


def chats(n_with_prompt: int, n_without: int = 5):
    """Conversations, some of which open with the same system prompt."""
    prompt = {"role": "system", "content": SYSTEM}
    rows = [conversation(number) for number in range(n_with_prompt + n_without)]
    return [
        row | {"messages": [prompt, *row["messages"]]} if place < n_with_prompt else row
        for place, row in enumerate(rows)
    ]


def prepared(rows, engine=ENGINE, **fields):
    taken = sample(engine.from_arrow(table_of(frame(rows))), SampleSettings(), engine)
    return truncate(taken, TruncateSettings(), engine, CompressSettings(**fields))


def test_a_system_prompt_of_the_week_is_shortened_where_many_conversations_open_with_it():
    options = {"lossless": ["boilerplate"], "boilerplate_conversations": 20}
    rows = rows_of(prepared(chats(20), **options))
    shortened = [row for row in rows if row["truncation"] == "boilerplate"]
    assert len(shortened) == 20
    for row in shortened:
        assert "never promise" not in row["text"]
        assert f"> [boilerplate, {len(SYSTEM)} characters: You are the assistant of a shop for" in row["text"]
        assert row["n_tokens"] < row["n_tokens_before"]
        assert len(parse(row["text"])) == row["n_turns"] == 3
    assert all("never promise" in row["text"] for row in rows_of(prepared(chats(19), **options))[:19])


def test_a_paragraph_counts_once_for_a_conversation_and_only_where_it_opens_or_closes():
    middle = [user("hello"), assistant(SYSTEM), user("bye")]
    thrice = [user(SYSTEM), assistant(SYSTEM), user(SYSTEM)]
    rows = [
        conversation(number, messages=[{"role": turn.role, "content": turn.content} for turn in turns])
        for number, turns in enumerate([middle, middle, thrice])
    ]
    assert boilerplate.find(frame(rows), 2, ENGINE) == frozenset()
    assert len(boilerplate.find(frame(rows), 1, ENGINE)) == 1


def test_the_row_function_is_picklable_and_blind_to_batches():
    batches = table_of(sample(frame(chats(30)), SampleSettings(), ENGINE)).combine_chunks().to_batches()
    known = boilerplate.find(frame(chats(30)), 20, ENGINE)
    function = TruncateBatches(TruncateSettings(max_tokens=40), 1, Compressor(CompressSettings(lossless=True), known))
    run = pickle.loads(pickle.dumps(function))
    whole = pa.Table.from_batches(run(iter(batches)))
    parts = pa.Table.from_batches(run(batches[0].slice(place, 7) for place in range(0, 35, 7)))
    assert whole.to_pylist() == parts.to_pylist()


def test_what_is_still_too_long_is_cut_and_both_are_told():
    turns = [user("a   b " * 400), assistant("ok")]
    (found,) = truncate_turns([turns], TruncateSettings(max_tokens=100), Compressor(CompressSettings(lossless=True)))
    assert found.truncation == "white_space+head_tail"
    assert found.n_tokens <= 100


@pytest.mark.parametrize(
    "content", ["a" * 400_000, "\n" * 400_000, "> word " * 60_000, "漢 " * 200_000, "```\n" * 90_000]
)
def test_any_long_message_ends_as_transcript(content):
    left = compressed(user(content), assistant("ok"), user(content))
    assert [turn.content for turn in parse(render([user(each) for each in left]))] == left


@pytest.mark.shared
@pytest.mark.parametrize("name", ["sharegpt", "recllmsim"])
def test_real_conversations_get_shorter_and_stay_transcripts(name):
    week = real_week(name).filter(nw.col("conversation_id").str.ends_with("1"))
    taken = sample(week, SampleSettings(), ENGINE)
    whole = rows_of(truncate(taken, TruncateSettings(), ENGINE))
    rows = rows_of(truncate(taken, TruncateSettings(), ENGINE, CompressSettings(lossless=True)))
    assert sum(row["n_tokens"] for row in rows) < sum(row["n_tokens"] for row in whole)
    for before, row in zip(whole, rows, strict=True):
        assert row["n_tokens"] == count_tokens(row["text"]) <= 2000
        assert row["n_tokens_before"] == before["n_tokens_before"]
        assert parse(row["text"])

import pickle
import time

import narwhals as nw
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.settings import SampleSettings, TruncateSettings
from semtel_dagster.stages.cutting import MARK_TOKENS
from semtel_dagster.stages.sample import sample
from semtel_dagster.stages.tokens import count_tokens
from semtel_dagster.stages.truncate import TruncateBatches, truncate, truncate_turns
from semtel_dagster.tables import TRUNCATED_CONVERSATIONS
from semtel_dagster.transcript import ROLES, Turn, content_hash, is_cut_mark, parse, render
from tests.stages.builders import ENGINE, conversation, frame, real_week, rows_of, table_of

STRATEGIES = ["head", "tail", "head_tail", "last_turns"]
PIECES = [
    "word ",
    "user:\n",
    "\n",
    "\r\n",
    "\u2028",
    "> ",
    "[... 7 tokens cut ...]\n",
    "é\u0301",
    "👩‍👩‍👧",
    "漢字",
    "x" * 30,
    "\x00",
    "1 2 3 ",
]
contents = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), max_size=60).map("".join)
conversations = st.lists(st.builds(Turn, st.sampled_from(ROLES), contents), min_size=1, max_size=8)
options = st.builds(
    TruncateSettings,
    max_tokens=st.integers(16, 120),
    strategy=st.sampled_from(STRATEGIES),
    last_turns=st.integers(1, 5),
    max_message_tokens=st.one_of(st.none(), st.integers(8, 60)),
)


def truncated(turns, **settings_):
    return truncate_turns([turns], TruncateSettings(**settings_))[0]


@given(conversations, options)
@settings(max_examples=300, deadline=None)
def test_the_budget_holds_exactly_and_what_is_left_is_a_transcript(turns, chosen):
    (found,) = truncate_turns([turns], chosen)
    assert found.n_tokens == count_tokens(found.text) <= chosen.max_tokens
    assert found.n_tokens_before == count_tokens(render(turns))
    left = parse(found.text)
    whole = parse(render(turns))
    for turn in left:
        lines = {line for other in whole if other.role == turn.role for line in other.content.split("\n")}
        assert all(any(line in original for original in lines) for line in turn.content.split("\n"))
    if found.truncation == "none":
        assert left == whole


@given(conversations, options)
@settings(deadline=None)
def test_what_fits_is_left_as_it_is(turns, chosen):
    generous = chosen.model_copy(update={"max_tokens": 10_000, "last_turns": 100, "max_message_tokens": None})
    (found,) = truncate_turns([turns], generous)
    assert (found.text, found.truncation) == (render(turns), "none")
    assert found.n_tokens == found.n_tokens_before


@given(conversations, st.sampled_from(STRATEGIES))
@settings(deadline=None)
def test_a_text_is_one_beginning_and_one_end_of_the_whole(turns, strategy):
    found = truncated(turns, max_tokens=40, strategy=strategy, last_turns=2)
    whole = render(turns)
    before, *after = [[]]
    for line in found.text.split("\n"):
        if is_cut_mark(line):
            after.append([])
        else:
            (after[-1] if after else before).append(line)
    assert whole.startswith("\n".join(before))
    if found.truncation == "none":
        assert after == []
    else:
        (tail,) = after
        body = tail[1:] if tail and not tail[0].startswith("> ") else tail
        assert whole.endswith("\n".join(body).removeprefix("> "))
        assert not tail or strategy != "head"
        assert not before or strategy in {"head", "head_tail"}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_budget_is_used_up(strategy):
    turns = [Turn("user", "one two three four five " * 200), Turn("assistant", "yes " * 2000)]
    assert truncated(turns, max_tokens=500, strategy=strategy).n_tokens >= 500 - MARK_TOKENS


def test_last_turns_drops_earlier_turns_even_if_all_would_fit():
    turns = [Turn("user", f"q{k}") for k in range(5)]
    found = truncated(turns, strategy="last_turns", last_turns=2)
    assert parse(found.text) == turns[3:]
    assert is_cut_mark(found.text.split("\n")[0])
    assert found.truncation == "last_turns"


def test_a_cap_per_message_leaves_short_messages_whole():
    turns = [Turn("user", "look at this " * 300), Turn("assistant", "short answer"), Turn("user", "thanks")]
    found = truncated(turns, max_message_tokens=20)
    assert found.truncation == "message"
    assert parse(found.text)[1:] == turns[1:]
    first = found.text.split("\nassistant:")[0]
    assert count_tokens(first) <= 20 + MARK_TOKENS
    assert sum(is_cut_mark(line) for line in found.text.split("\n")) == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    "content", ["a" * 1_000_000, "\n" * 1_000_000, "word " * 200_000, "漢" * 350_000, "e\u0301" * 330_000]
)
def test_time_is_linear_in_a_long_message(strategy, content):
    def seconds(text):
        start = time.process_time()
        found = truncated([Turn("user", text), Turn("assistant", "ok"), Turn("user", text)], strategy=strategy)
        assert found.n_tokens <= 2000
        return time.process_time() - start

    tenth = len(content) // 10
    seconds(content[:tenth])
    assert seconds(content) < 100 * min(seconds(content[:tenth]) for _ in range(3)) + 0.05


def sampled(rows):
    return sample(frame(rows), SampleSettings(rate=1.0), ENGINE)


def test_the_table_is_exactly_the_contract_and_keeps_order():
    rows = [conversation(k, messages=[{"role": "user", "content": "hello " * k}]) for k in range(30)]
    table = table_of(truncate(sampled(rows), TruncateSettings(max_tokens=20), ENGINE))
    assert table.schema.names == TRUNCATED_CONVERSATIONS.names
    assert table.schema.types == TRUNCATED_CONVERSATIONS.types
    assert table.column("conversation_id").to_pylist() == [row["conversation_id"] for row in rows]


def test_a_row_tells_turns_hash_and_tokens():
    (row,) = rows_of(truncate(sampled([conversation(3)]), TruncateSettings(), ENGINE))
    text = "user:\n> question 3\nassistant:\n> answer"
    assert row["text"] == text
    assert row["content_hash"] == content_hash(text)
    assert (row["n_turns"], row["truncation"]) == (2, "none")
    assert row["n_tokens"] == row["n_tokens_before"] == count_tokens(text)
    assert (row["user_id"], row["stratum"], row["sampling_weight"]) == ("u3", "rest", 1.0)


def test_the_row_function_is_picklable_and_blind_to_batches():
    rows = [conversation(k, messages=[{"role": "user", "content": "hello " * k}] * (k % 4)) for k in range(40)]
    batches = table_of(sampled(rows)).combine_chunks().to_batches()
    run = pickle.loads(pickle.dumps(TruncateBatches(TruncateSettings(max_tokens=20))))
    narrow = [name for name in batches[0].schema.names if name != "extra"]
    whole = pa.Table.from_batches(run(iter(batches)))
    parts = pa.Table.from_batches(run(batches[0].select(narrow).slice(k, 7) for k in range(0, 40, 7)))
    assert whole.to_pylist() == parts.to_pylist()


@pytest.mark.parametrize("cap", [None, 8])
def test_threads_and_the_way_by_turns_change_nothing(cap):
    rows = [conversation(k, messages=[{"role": "user", "content": "a\r\nb\x00 " * 9 * k}] * (k % 4)) for k in range(60)]
    batches = table_of(sampled(rows)).combine_chunks().to_batches(max_chunksize=7)
    options = TruncateSettings(max_tokens=40, max_message_tokens=cap)
    one, three = (pa.Table.from_batches(TruncateBatches(options, threads)(iter(batches))) for threads in (1, 3))
    assert one.equals(three)
    by_turns = [truncate_turns([[Turn("user", m["content"]) for m in row["messages"]]], options)[0] for row in rows]
    assert one.column("text").to_pylist() == [each.text for each in by_turns]


def test_lists_of_another_width_are_read_alike():
    (batch,) = table_of(sampled([conversation(1), conversation(2)])).combine_chunks().to_batches()
    index = batch.schema.get_field_index("messages")
    narrow = batch.column(index).cast(pa.list_(batch.schema.field(index).type.value_type))
    other = batch.set_column(index, "messages", narrow)
    run = TruncateBatches(TruncateSettings())
    assert pa.Table.from_batches(run(iter([other]))) == pa.Table.from_batches(run(iter([batch])))


@pytest.mark.shared
@pytest.mark.parametrize("name", ["sharegpt", "recllmsim"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_real_conversations_are_cut_to_the_budget(name, strategy):
    week = real_week(name).filter(nw.col("conversation_id").str.ends_with("1"))
    chosen = TruncateSettings(strategy=strategy, max_tokens=600)
    rows = rows_of(truncate(sample(week, SampleSettings(), ENGINE), chosen, ENGINE))
    assert rows
    for row in rows:
        assert row["n_tokens"] == count_tokens(row["text"]) <= 600
        assert parse(row["text"])
        assert (row["truncation"] == "none") == (row["n_tokens"] == row["n_tokens_before"])
        if row["n_tokens_before"] > 600 and strategy != "last_turns":
            assert row["n_tokens"] > 560

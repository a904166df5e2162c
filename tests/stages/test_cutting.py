import pytest

from semtel_dagster.stages.cutting import Transcript, cut, last_turns_start
from semtel_dagster.stages.tokens import count_tokens, token_ends
from semtel_dagster.transcript import Turn, is_cut_mark, parse, render

WORDS = " ".join(f"word{k}" for k in range(200))
TALK = [Turn("user", WORDS), Turn("assistant", WORDS), Turn("user", "why?\nreally?")]


def transcript(turns):
    text = render(turns)
    return Transcript(text.encode(), token_ends([text])[0])


def lines(turns, max_tokens, head_share, keep_from=0):
    text, n_tokens = cut(transcript(turns), max_tokens, head_share, keep_from)
    assert n_tokens == count_tokens(text) <= max_tokens
    return text.split("\n")


def test_the_beginning_is_kept_up_to_a_mark():
    found = lines(TALK, 60, 1.0)
    assert found[0] == "user:"
    assert render(TALK).startswith("\n".join(found[:-1]))
    assert is_cut_mark(found[-1])


def test_the_end_is_kept_from_a_mark_and_its_speaker_named_again():
    found = lines(TALK, 60, 0.0)
    assert is_cut_mark(found[0])
    assert found[1] == "assistant:"
    assert WORDS.endswith(found[2].removeprefix("> "))
    assert found[3:] == ["user:", "> why?", "> really?"]


def test_both_ends_are_kept_and_the_speaker_named_again_only_across_turns():
    found = lines(TALK, 80, 0.5)
    assert [line for line in found if not line.startswith("> ")] == ["user:", found[2], "assistant:", "user:"]
    within = lines([Turn("user", WORDS)], 80, 0.5)
    assert [line.startswith("> ") for line in within] == [False, True, False, True]


def test_the_mark_tells_how_many_tokens_are_gone():
    whole = len(transcript(TALK).ends)
    text, _ = cut(transcript(TALK), 100, 0.5)
    (mark,) = (line for line in text.split("\n") if is_cut_mark(line))
    kept = count_tokens(text.replace(mark + "\n", "", 1))
    assert int(mark.split()[1]) == pytest.approx(whole - kept, abs=6)


def test_marks_that_are_cut_out_are_counted_on():
    inner, _ = cut(transcript([Turn("user", WORDS)]), 50, 0.5)
    text = inner + "\nassistant:\n> " + "yes " * 200
    gone = int(next(line for line in inner.split("\n") if is_cut_mark(line)).split()[1])
    outer, _ = cut(Transcript(text.encode(), token_ends([text])[0]), 20, 1.0)
    assert int(outer.split("\n")[-1].split()[1]) > gone + 200


@pytest.mark.parametrize("head_share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("budget", range(16, 60))
def test_no_marker_is_left_alone_or_split(head_share, budget):
    turns = [Turn("user", "a\n\nb"), Turn("assistant", ""), Turn("tool", "c d e f g " * 5), Turn("system", "h")] * 3
    text = "\n".join(lines(turns, budget, head_share))
    parsed = parse(text)
    assert all("> " in block for block in text.split("user:\n")[1:])
    assert all(turn.role in {"user", "assistant", "tool", "system"} for turn in parsed)
    if head_share == 0.0 and parsed:
        assert [turn.role for turn in parsed] == [turn.role for turn in turns[-len(parsed) :]]
    if head_share == 1.0 and parsed:
        assert [turn.role for turn in parsed] == [turn.role for turn in turns[: len(parsed)]]


@pytest.mark.parametrize("cluster", ["👩‍👩‍👧‍👦", "e\u0301\u0323", "🇩🇪", "👍🏽", "字", "क्षि"], ids=ascii)
@pytest.mark.parametrize("head_share", [0.0, 0.5, 1.0])
def test_no_character_is_split(cluster, head_share):
    pieces = {cluster, ""}
    for budget in range(16, 70):
        for turn in parse("\n".join(lines([Turn("user", (cluster + " ") * 100)], budget, head_share))):
            assert set(turn.content.replace("\n", " ").split(" ")) <= pieces


def test_nothing_fits_but_the_mark():
    turns = [Turn("user", "x\n" * 500)]
    assert lines(turns, 16, 0.5) == [f"[... {len(transcript(turns).ends)} tokens cut ...]"]


def test_the_last_turns_start_at_a_marker():
    data = render(TALK).encode()
    assert data[last_turns_start(data, 1) :].decode() == render(TALK[2:])
    assert data[last_turns_start(data, 2) :].decode() == render(TALK[1:])
    assert last_turns_start(data, 3) == last_turns_start(data, 9) == 0


def test_content_that_looks_like_a_marker_opens_no_turn():
    data = render([Turn("user", "a"), Turn("assistant", "b\nuser:\nassistant:\n")]).encode()
    assert data[last_turns_start(data, 1) :].startswith(b"assistant:\n> b")


def test_nothing_before_the_kept_turns_is_kept():
    start = last_turns_start(render(TALK).encode(), 1)
    assert lines(TALK, 60, 0.0, keep_from=start)[1:] == ["user:", "> why?", "> really?"]

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.reducers import CompressSettings, PerplexitySettings
from semtel_dagster.settings import TruncateSettings
from semtel_dagster.stages.compress import Compressor
from semtel_dagster.stages.compress_sentences import SentenceRule
from semtel_dagster.stages.cutting import belong_together
from semtel_dagster.stages.tokens import count_tokens
from semtel_dagster.stages.truncate import compressor_of, truncate_turns
from semtel_dagster.transcript import ROLES, Turn, parse, render
from tests.stages.test_compress import conversations, real_week
from tests.surprisal_models import ScriptedScorer, smollm2

DULL = " This is the dull sentence that anybody could have guessed."
CODE = "```python\n" + "\n".join(f"dull = {number}" for number in range(12)) + "\n```"


def rule(scorer=None, *, max_tokens=100_000, head_share=0.5, **fields):
    """The rule with nothing kept but what must be."""
    fields = {"min_tokens": 0, "last_turns": 0, "end_tokens": 0} | fields
    options = PerplexitySettings(model="scripted.gguf", **fields)
    return SentenceRule(options, scorer or ScriptedScorer("dull"), max_tokens, head_share)


def shortened(*contents, **fields):
    """What is left of turns that user and assistant take in turn."""
    return rule(**fields)([ROLES[place % 2] for place in range(len(contents))], contents)


@given(conversations, st.sampled_from([0.1, 0.5, 0.9]), st.integers(0, 3), st.sampled_from([0, 20]))
@settings(max_examples=80, deadline=None)
def test_turns_stay_in_number_role_and_order_and_the_same_text_gives_the_same(turns, keep, last_turns, end_tokens):
    made = rule(keep=keep, last_turns=last_turns, end_tokens=end_tokens)
    compressor = Compressor(CompressSettings(), by_sentence=made)
    found = compressor(turns)
    assert [turn.role for turn in found.turns] == [turn.role for turn in turns]
    assert [turn.role for turn in parse(render(found.turns))] == [turn.role for turn in turns]
    assert pickle.loads(pickle.dumps(compressor))(turns) == found
    assert found.rules in {(), ("perplexity",)}
    if not found.rules:
        assert found.turns == turns


@given(conversations)
@settings(max_examples=50, deadline=None)
def test_tokens_only_fall_and_what_is_left_is_still_a_transcript(turns):
    options = TruncateSettings(max_tokens=60)
    compressor = Compressor(CompressSettings(lossless=True), by_sentence=rule(max_tokens=60))
    (found,) = truncate_turns([turns], options, compressor)
    assert found.n_tokens == count_tokens(found.text) <= 60
    assert found.n_tokens_before == count_tokens(render(turns))
    parse(found.text)


@given(conversations)
@settings(max_examples=50, deadline=None)
def test_no_letter_loses_its_accent_and_no_emoji_its_parts(turns):
    left = rule()([turn.role for turn in turns], [turn.content for turn in turns])
    whole = [turn.content for turn in turns]
    for before, after in zip(whole, left, strict=True):
        pairs = {before[place : place + 2] for place in range(len(before))}
        together = {
            after[place : place + 2] for place in range(len(after) - 1) if belong_together(*after[place : place + 2])
        }
        assert together <= pairs


def test_the_guessable_goes_and_dots_say_so():
    said = f"My garden hose leaks beside the tap.{DULL}{DULL} Vinegar removed limescale yesterday."
    assert shortened(said) == ["My garden hose leaks beside the tap. … Vinegar removed limescale yesterday."]


def test_lines_stay_lines():
    said = f"My garden hose leaks beside the tap.\n\n{DULL[1:]}\n{DULL[1:]}\n\nVinegar removed limescale yesterday."
    assert shortened(said) == ["My garden hose leaks beside the tap.\n…\n\nVinegar removed limescale yesterday."]


def test_in_chinese_no_space_comes_in():
    said = "我昨天买了一根花园水管。今天天气真的很不错。你们能不能换一根新的给我？"
    assert shortened(said, scorer=ScriptedScorer("天气"), keep=0.8) == [
        "我昨天买了一根花园水管。…你们能不能换一根新的给我？"
    ]


def test_a_block_of_code_stays_or_goes_whole_and_is_named():
    said = f"My garden program fails again.\n{CODE}\nVinegar removed limescale yesterday."
    assert shortened(said, keep=0.3) == [
        "My garden program fails again.\n[... 14 lines of python left out ...]\nVinegar removed limescale yesterday."
    ]
    assert shortened(said, scorer=ScriptedScorer("Vinegar"), keep=0.95) == [
        f"My garden program fails again.\n{CODE}\n…"
    ]


def test_a_block_much_larger_than_what_must_go_stays():
    block = CODE.replace("= ", "= 1 + " * 9)
    said = f"My garden program fails again.\n{block}\n{DULL[1:]} Vinegar removed limescale yesterday."
    assert shortened(said, keep=0.99) == [said.replace(DULL[1:], "…")]


def test_marks_of_rules_and_the_first_sentence_of_every_turn_stay():
    mark = "[repeats 9 lines of turn 1: a dull beginning…]"
    left = shortened(f"{DULL[1:]}{DULL}", f"{DULL[1:]}\n{mark}\n{DULL[1:]}", keep=0.01)
    assert left == [f"{DULL[1:]} …", f"{DULL[1:]}\n{mark}\n…"]


def test_both_ends_of_the_first_request_and_of_the_last_turns_stay():
    turn = DULL[1:] + DULL * 19
    n_one = count_tokens(DULL)
    left = shortened(turn, turn, turn, turn, keep=0.01, last_turns=1, end_tokens=2 * n_one)
    assert left == [
        DULL[1:] + DULL + " …" + DULL * 2,
        f"{DULL[1:]} …",
        f"{DULL[1:]} …",
        DULL[1:] + DULL + " …" + DULL * 2,
    ]


def test_of_equal_ones_the_earliest_goes_and_no_more_than_must():
    said = "My garden hose leaks beside the tap." + "".join(
        f" Sentence number {number} is here." for number in range(1, 9)
    )
    (left,) = shortened(said, scorer=ScriptedScorer("Sentence"), keep=0.7)
    assert left.startswith("My garden hose leaks beside the tap. … Sentence number 4")
    assert 0.6 * count_tokens(said) < count_tokens(left) <= 0.75 * count_tokens(said)


def test_a_short_conversation_is_not_even_read():
    scorer = ScriptedScorer()
    said = f"My hose leaks.{DULL * 3}"
    assert shortened(said, scorer=scorer, min_tokens=200) == [said]
    assert scorer.calls == []


def test_no_conversation_falls_below_the_least():
    said = f"My hose leaks.{DULL * 60}"
    (left,) = shortened(said, keep=0.01, min_tokens=200)
    assert 180 < count_tokens(left) <= 202


@pytest.mark.parametrize(("strategy", "read"), [("head", "0"), ("tail", "199"), ("head_tail", "0 199")])
def test_what_the_cut_drops_anyway_is_not_read(strategy, read):
    scorer = ScriptedScorer()
    said = "".join(f" Sentence number {number} stands here." for number in range(200))
    share = {"head": 1.0, "tail": 0.0, "head_tail": 0.5}[strategy]
    shortened(said, scorer=scorer, max_tokens=100, head_share=share, keep=0.5)
    ((pieces, _),) = scorer.calls
    text = " ".join(pieces)
    assert count_tokens("".join(pieces)) <= 210
    assert [number for number in ("0", "100", "199") if f"number {number} " in text] == read.split()


def test_more_of_a_long_conversation_fits_the_budget():
    turns = [Turn("user", "".join(f" Fact number {number} is about violets.{DULL}" for number in range(60)))]
    options = TruncateSettings(max_tokens=500)
    (cut,) = truncate_turns([turns], options)
    (found,) = truncate_turns(
        [turns], options, Compressor(CompressSettings(), by_sentence=rule(keep=0.5, max_tokens=500))
    )
    assert found.truncation == "perplexity+head_tail"
    assert found.n_tokens <= 500
    assert found.text.count("violets") > 1.3 * cut.text.count("violets")


def test_the_compressor_is_made_of_the_settings_and_travels_without_its_model():
    compress = CompressSettings(perplexity={"model": "gone.gguf", "context": 512, "threads": 3})
    made = compressor_of(compress, TruncateSettings())
    assert pickle.loads(pickle.dumps(made)) == made
    assert (made.by_sentence.scorer.context, made.by_sentence.scorer.threads) == (512, 3)
    assert compressor_of(CompressSettings(), TruncateSettings()) is None


def test_without_a_model_chance_decides_and_the_same_conversation_is_shortened_alike():
    said = "".join(f" Sentence number {number} says something of its own." for number in range(60))
    compressor = compressor_of(CompressSettings(sentences={"keep": 0.5, "end_tokens": 20}), TruncateSettings())
    found = compressor([Turn("user", said)])
    assert found == compressor([Turn("user", said)])
    assert found.rules == ("sentences",)
    (left,) = (turn.content for turn in found.turns)
    assert 0.4 < count_tokens(left) / count_tokens(said) < 0.65
    assert left.startswith(" Sentence number 0 ")
    assert left.endswith("its own.")
    assert left.count("…") > 5


def test_both_at_once_are_refused():
    with pytest.raises(ValueError, match="sentences or perplexity, not both"):
        CompressSettings(sentences={}, perplexity={"model": "small.gguf"})


def test_a_real_model_drops_what_it_could_guess():
    said = (
        "My garden hose leaks beside the tap. One two three four five six seven eight nine ten eleven twelve. "
        "The zookeeper pawned eleven accordions. Monday Tuesday Wednesday Thursday Friday Saturday Sunday."
    )
    options = CompressSettings(perplexity={"model": smollm2(), "keep": 0.6, "min_tokens": 0, "end_tokens": 0})
    found = compressor_of(options, TruncateSettings())([Turn("user", said)])
    assert found.rules == ("perplexity",)
    assert "accordions" in found.turns[0].content
    assert "seven eight nine" not in found.turns[0].content


@pytest.mark.slow
@pytest.mark.shared
def test_real_conversations_get_shorter_and_stay_transcripts():
    rows = real_week("sharegpt").head(3).collect(backend="pyarrow").get_column("messages").to_list()
    turns = [[Turn(message["role"], message["content"]) for message in messages] for messages in rows]
    options = TruncateSettings(max_tokens=150)
    compress = CompressSettings(perplexity={"model": smollm2(), "min_tokens": 50, "end_tokens": 20})
    found = truncate_turns(turns, options, compressor_of(compress, options))
    for before, after in zip(turns, found, strict=True):
        assert after.n_tokens == count_tokens(after.text) <= 150
        assert after.n_tokens_before == count_tokens(render(before))
        assert parse(after.text)

"""What never changes stands first and is the same in every call, byte by byte; what a cache makes of it."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster import diagnosis
from semtel_dagster.classifiers import PromptMessage
from semtel_dagster.prompts import caching
from semtel_dagster.prompts.lint import MAX_REMINDER_TOKENS
from semtel_dagster.prompts.loader import load_classifiers
from semtel_dagster.prompts.render import render_messages
from semtel_dagster.prompts.together import combined, grading, packed
from semtel_dagster.requests.body import compile_body
from semtel_dagster.settings import Settings
from tests.requests.builders import prompt as small_prompt

CHECKOUT = Path(__file__).parents[2]
SHIPPED = load_classifiers()
EVALUATED = load_classifiers(CHECKOUT / "evals" / "prompts")
PAIR = [SHIPPED["topic"], SHIPPED["intent"]]
ALL = [
    *SHIPPED.values(),
    *EVALUATED.values(),
    combined(PAIR),
    combined(list(SHIPPED.values())),
    packed(PAIR, 5),
    packed([SHIPPED["topic"]], 20),
    grading(PAIR, 5),
]
TRANSCRIPTS = ["user:\n> Hello", "assistant:\n> " + "漢字 and more. " * 400]


def common_beginning(one, other):
    length = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))
    return one[:length]


@pytest.mark.parametrize("prompt", ALL, ids=[prompt.classifier.name for prompt in ALL])
def test_calls_of_a_prompt_begin_alike_up_to_the_transcript(prompt):
    bodies = [compile_body(prompt, "model").render(transcript) for transcript in TRANSCRIPTS]
    flat = ["\n".join(message["content"] for message in render_messages(prompt, each)) for each in TRANSCRIPTS]
    beginning = common_beginning(*flat)
    assert flat[0].startswith(beginning + TRANSCRIPTS[0])
    assert len(common_beginning(*bodies)) >= len(beginning.encode())
    assert caching.count_tokens(beginning) == pytest.approx(caching.prefix_tokens(prompt), abs=3)


@pytest.mark.parametrize("prompt", ALL, ids=[prompt.classifier.name for prompt in ALL])
def test_hardly_anything_that_never_changes_follows_the_transcript(prompt):
    assert prompt.static_tokens - caching.prefix_tokens(prompt) <= MAX_REMINDER_TOKENS


@pytest.mark.parametrize("make", [packed, grading])
def test_packs_of_every_size_share_beginning_and_schema(make):
    few, many = make(PAIR, 2), make(PAIR[::-1], 32)
    assert (few.messages, few.response_schema) == (many.messages, many.response_schema)


def test_another_process_renders_the_same_bytes():
    """Else a cache that one step warmed would be cold for the next."""
    program = (
        "import hashlib; from semtel_dagster.prompts.loader import load_classifiers as l; "
        "from semtel_dagster.prompts.together import combined; from semtel_dagster.requests.body import compile_body; "
        "p = l(); each = [*p.values(), combined(list(p.values()))]; "
        "print(hashlib.sha256(b''.join(compile_body(one, 'm').render('x') for one in each)).hexdigest())"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    digests = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0, 0]
    assert len(digests) == 1


def of_length(n_tokens):
    messages = (PromptMessage("system", " word" * n_tokens), PromptMessage("user", "", ""))
    return dataclasses.replace(small_prompt(), messages=messages)


@pytest.mark.parametrize(
    ("n_tokens", "cached"), [(0, 0), (1023, 0), (1024, 1024), (1151, 1024), (1152, 1152), (3000, 2944)]
)
def test_caches_take_a_beginning_from_1024_tokens_in_steps_of_128(n_tokens, cached):
    assert caching.cached_tokens(n_tokens) == cached


@given(st.integers(0, 4000), st.floats(0, 1))
def test_padding_gains_what_the_shorter_beginning_cost_over_the_cached_one(n_tokens, ratio):
    gain = caching.gain_of_padding(n_tokens, ratio)
    if n_tokens >= 1024:
        assert gain == 0
    else:
        assert gain == pytest.approx(n_tokens - ratio * 1024, abs=0.5)


def test_a_prompt_a_little_too_short_is_told_what_is_missing_and_what_it_would_gain():
    assert caching.describe(of_length(1500)) == "1,408 of them cached by OpenAI and Azure"
    assert caching.describe(of_length(500)) == ""  # padding would cost more than it saves
    assert caching.describe(of_length(640)) == ""  # 384 more tokens would save the price of 128
    little = caching.describe(of_length(900))
    assert "124 more" in little
    assert "price of 388 a call" in little
    assert "price of 798 a call" in caching.describe(of_length(900), 0.1)


def findings(**fields):
    return {each.about: each.says for each in diagnosis._prompts(Settings(**fields))}


def test_semtel_check_says_so_where_a_provider_is_asked_and_the_prompt_goes_alone():
    endpoint = {"name": "east", "base_url": "http://localhost/v1", "model": "m"}
    price = {"input": 1.0, "cached_input": 0.1, "output": 4.0}
    assert "cache" not in findings()["prompt expertise"]
    assert "1,536 of them cached" in findings(endpoints=[endpoint])["prompt topic"]
    assert "more (examples" in findings(endpoints=[endpoint])["prompt expertise"]
    dear, cheap = (findings(endpoints=[each])["prompt intent"] for each in (endpoint, endpoint | {"price": price}))
    assert dear != cheap
    assert "cache" not in findings(endpoints=[endpoint], combine=["topic", "intent"])["prompt intent"]

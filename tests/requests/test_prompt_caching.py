"""Cached tokens from the wire to the price: a scripted server with a prompt cache, and what the run says it cost."""

import dataclasses

import pytest

from semtel_dagster.classifiers import PromptMessage
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.prompts.fingerprint import fingerprint
from semtel_dagster.settings import Price
from semtel_dagster.summaries import cost_usd
from tests.requests.builders import endpoint, plan, prompt, run, texts

PRICE = Price(input=2.0, cached_input=0.5, output=8.0)
NAMES = ("input_tokens", "cached_tokens", "output_tokens")


def with_rules(n_words: int):
    """A prompt whose static part is so long."""
    short = prompt()
    messages = (PromptMessage("system", "A rule to keep. " * n_words), *short.messages[1:])
    return dataclasses.replace(
        short, messages=messages, fingerprint=fingerprint(messages, short.response_schema, short.options)
    )


@pytest.fixture
def fresh(server):
    server.set_script(Script())
    server.reset()
    return server


def sums(table):
    return {name: sum(table[name].to_pylist()) for name in NAMES}


def test_every_cached_token_is_read_kept_and_priced(fresh, tmp_path):
    a_plan = plan(tmp_path, endpoint(fresh.base_url, price=PRICE))
    table, figures = run(a_plan, texts(60), with_rules(400))
    charged, counted = fresh.stats(conversations=False), sums(table)
    assert counted["cached_tokens"] == figures.cached_tokens == charged["cached_tokens"] > 0
    assert counted["input_tokens"] == charged["prompt_tokens"]
    # 1,600 tokens before the transcript: 12 steps of 128 for every call that met a warm cache.
    assert set(table["cached_tokens"].to_pylist()) == {0, 1536}
    fresh_tokens = counted["input_tokens"] - counted["cached_tokens"]
    cost = (2.0 * fresh_tokens + 0.5 * counted["cached_tokens"] + 8.0 * counted["output_tokens"]) / 1e6
    assert figures.cost_usd == pytest.approx(cost)
    assert cost_usd(counted, PRICE) == pytest.approx(cost)
    assert cost < cost_usd(counted, Price(input=2.0, output=8.0))


def test_the_cache_of_a_prompt_is_warmed_once_for_each_endpoint(fresh, tmp_path):
    with serve(Script()) as other:
        a_plan = plan(tmp_path, endpoint(fresh.base_url, "one"), endpoint(other.base_url, "two"))
        table, _ = run(a_plan, texts(80), with_rules(400))
    assert 0 < table["cached_tokens"].to_pylist().count(0) <= 2


def test_a_prompt_under_the_cache_s_least_length_is_never_cached(fresh, tmp_path):
    table, figures = run(plan(tmp_path, endpoint(fresh.base_url)), texts(10), with_rules(200))
    assert sums(table)["cached_tokens"] == figures.cached_tokens == 0

"""What a provider's prompt cache can take of a prompt, and what a little more text would gain.

OpenAI and Azure cache the beginning that calls have in common, from 1,024 tokens in steps of 128, and charge it at a
lower price; vLLM and llama.cpp cache any beginning and charge nothing. Belongs here: counting that beginning, and the
words for `semtel check`. Putting what never changes first is the templates' work, and `lint` looks after it.

The counts leave out what a provider adds (roles, the answer's schema), so they are a little too low.
"""

from __future__ import annotations

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.prompts.loader import count_tokens

CACHED_FROM, STEP = 1024, 128
USUAL_PRICE_RATIO = 0.5
WORTH_SAYING = 64  # full-price tokens a call


def prefix_tokens(prompt: CompiledPrompt) -> int:
    """The o200k tokens before the transcript: what all calls of a prompt begin with."""
    place = next(place for place, message in enumerate(prompt.messages) if message.after is not None)
    return sum(count_tokens(message.before) for message in prompt.messages[: place + 1])


def cached_tokens(n_tokens: int) -> int:
    """How many of a beginning's tokens are served from a cache, once it is warm."""
    return n_tokens // STEP * STEP if n_tokens >= CACHED_FROM else 0


def gain_of_padding(n_tokens: int, price_ratio: float) -> int:
    """What lengthening a beginning to the shortest that is cached would save, in tokens of full price a call.

    Args:
        n_tokens: The beginning's tokens.
        price_ratio: The price of a cached token over that of a fresh one.

    Returns:
        0 or less where it would not pay, or where the beginning is cached as it is.
    """
    return 0 if n_tokens >= CACHED_FROM else round(n_tokens - CACHED_FROM * price_ratio)


def describe(prompt: CompiledPrompt, price_ratio: float = USUAL_PRICE_RATIO) -> str:
    """What the cache takes of a prompt, and what would make it take more; empty where there is nothing to say.

    More text is only spoken of where it saves at least as much as it adds: a model reads it in every call.

    Args:
        prompt: A compiled prompt.
        price_ratio: As in `gain_of_padding`.
    """
    n_tokens = prefix_tokens(prompt)
    if cached := cached_tokens(n_tokens):
        return f"{cached:,} of them cached by OpenAI and Azure"
    gain = gain_of_padding(n_tokens, price_ratio)
    if gain < max(WORTH_SAYING, CACHED_FROM - n_tokens):
        return ""
    return (
        f"none of them cached, since OpenAI and Azure cache from {CACHED_FROM:,}: {CACHED_FROM - n_tokens} more "
        f"(examples, fuller definitions, or another classifier by `combine`) would save the price of {gain} a call"
    )

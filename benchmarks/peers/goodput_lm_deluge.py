"""lm-deluge: its client over the endpoints as models, drawn evenly."""

from __future__ import annotations

import asyncio
import os

from goodput_asking import IN_FLIGHT, RETRIES, main, messages
from lm_deluge import Conversation, LLMClient
from lm_deluge.models import register_model


def ask(urls: list[str], texts: list[str]) -> int:
    os.environ["LOOPBACK_KEY"] = "none"
    names = [f"loopback{at}" for at in range(len(urls))]
    for name, url in zip(names, urls, strict=True):
        register_model(id=name, name="m", api_base=url, api_key_env_var="LOOPBACK_KEY")
    prompts = [Conversation().system(system["content"]).user(user["content"]) for system, user in map(messages, texts)]
    client = LLMClient(
        names,
        max_requests_per_minute=10**7,
        max_tokens_per_minute=10**12,
        max_concurrent_requests=IN_FLIGHT,
        max_new_tokens=20,
        temperature=0,
        request_timeout=30,
        max_attempts=RETRIES,
    )
    answers = asyncio.run(client.process_prompts_async(prompts, return_completions_only=True, show_progress=False))
    return sum(bool(answer) for answer in answers)


if __name__ == "__main__":
    main(ask)

"""lm-deluge: its client with limits wide open."""

from __future__ import annotations

import asyncio
import os

from lm_deluge import Conversation, LLMClient
from lm_deluge.models import register_model
from measuring import SYSTEM, main, messages

MODEL = "loopback"


def ask(base_url: str, texts: list[str], in_flight: int) -> int:
    os.environ["LOOPBACK_KEY"] = "none"
    register_model(id=MODEL, name="m", api_base=base_url, api_key_env_var="LOOPBACK_KEY")
    prompts = [Conversation().system(SYSTEM).user(messages(said)[1]["content"]) for said in texts]
    client = LLMClient(
        MODEL,
        max_requests_per_minute=10**7,
        max_tokens_per_minute=10**12,
        max_concurrent_requests=in_flight,
        max_new_tokens=20,
        temperature=0,
        request_timeout=120,
    )
    answers = asyncio.run(client.process_prompts_async(prompts, return_completions_only=True, show_progress=False))
    return sum(bool(answer) for answer in answers)


if __name__ == "__main__":
    main(ask)

"""flexllm: its pool over the endpoints, without a cache."""

from __future__ import annotations

import asyncio

from flexllm import LLMClientPool
from goodput_asking import IN_FLIGHT, OPTIONS, RETRIES, main, messages


def ask(urls: list[str], texts: list[str]) -> int:
    async def all_of_them() -> int:
        endpoints = [{"base_url": url, "api_key": "none", "model": "m"} for url in urls]
        pool = LLMClientPool(
            endpoints=endpoints, concurrency_limit=IN_FLIGHT, max_qps=100_000, timeout=30, retry_times=RETRIES
        )
        asked = [messages(said) for said in texts]
        answers = await pool.chat_completions_batch(asked, show_progress=False, **OPTIONS)
        return sum(bool(answer) for answer in answers)

    return asyncio.run(all_of_them())


if __name__ == "__main__":
    main(ask)

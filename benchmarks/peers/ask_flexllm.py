"""flexllm: its pool over one endpoint, without a cache."""

from __future__ import annotations

import asyncio

from flexllm import LLMClientPool
from measuring import OPTIONS, main, messages


def ask(base_url: str, texts: list[str], in_flight: int) -> int:
    async def all_of_them() -> int:
        endpoint = {"base_url": base_url, "api_key": "none", "model": "m"}
        pool = LLMClientPool(endpoints=[endpoint], concurrency_limit=in_flight, max_qps=100_000)
        asked = [messages(said) for said in texts]
        answers = await pool.chat_completions_batch(asked, show_progress=False, **OPTIONS)
        return sum(bool(answer) for answer in answers)

    return asyncio.run(all_of_them())


if __name__ == "__main__":
    main(ask)

"""The official package: its typed call over aiohttp, which costs less than its default transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import uvloop
from measuring import OPTIONS, Client, main, messages


def client_over(transport: Callable[[], Any]) -> Client:
    """The package over a transport made inside the event loop; None: its default one."""

    def ask(base_url: str, texts: list[str], in_flight: int) -> int:
        async def all_of_them() -> int:
            async with openai.AsyncOpenAI(
                base_url=base_url, api_key="none", http_client=transport(), timeout=120
            ) as client:
                rest = iter(texts)

                async def worker() -> int:
                    answered = 0
                    for said in rest:
                        reply = await client.chat.completions.create(model="m", messages=messages(said), **OPTIONS)
                        answered += bool(reply.choices[0].message.content)
                    return answered

                return sum(await asyncio.gather(*(worker() for _ in range(in_flight))))

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(all_of_them())

    return ask


if __name__ == "__main__":
    main(client_over(openai.DefaultAioHttpClient))

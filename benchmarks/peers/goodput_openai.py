"""The official package over aiohttp: a client per endpoint, rows dealt out to whichever is free."""

from __future__ import annotations

import asyncio

import openai
import uvloop
from goodput_asking import IN_FLIGHT, OPTIONS, RETRIES, main, messages


def ask(urls: list[str], texts: list[str]) -> int:
    async def all_of_them() -> int:
        rest = iter(texts)

        async def worker(client: openai.AsyncOpenAI) -> int:
            answered = 0
            for said in rest:
                try:
                    reply = await client.chat.completions.create(model="m", messages=messages(said), **OPTIONS)
                except openai.OpenAIError:
                    continue
                answered += bool(reply.choices[0].message.content)
            return answered

        clients = [
            openai.AsyncOpenAI(
                base_url=url,
                api_key="none",
                http_client=openai.DefaultAioHttpClient(),
                timeout=30,
                max_retries=RETRIES,
            )
            for url in urls
        ]
        return sum(await asyncio.gather(*(worker(clients[at % len(clients)]) for at in range(IN_FLIGHT))))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(all_of_them())


if __name__ == "__main__":
    main(ask)

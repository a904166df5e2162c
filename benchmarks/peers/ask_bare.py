"""The client library that we use, and nothing else: a body, a call, the reply's bytes."""

from __future__ import annotations

import asyncio

import uvloop
from pyreqwest.client import ClientBuilder

from benchmarks.peers.measuring import main
from semtel_dagster.requests.body import compile_body
from tests.requests.builders import prompt


def ask(base_url: str, texts: list[str], in_flight: int) -> int:
    template, url = compile_body(prompt(), "m"), f"{base_url}/chat/completions"

    async def all_of_them() -> int:
        headers = {"content-type": "application/json"}
        client = ClientBuilder().pool_max_idle_per_host(in_flight).default_headers(headers).build()
        rest = iter(texts)

        async def worker() -> int:
            answered = 0
            for said in rest:
                response = await client.post(url).body_bytes(template.render(said)).build().send()
                answered += bool(await response.bytes())
            return answered

        answered = sum(await asyncio.gather(*(worker() for _ in range(in_flight))))
        await client.close()
        return answered

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(all_of_them())


if __name__ == "__main__":
    main(ask)

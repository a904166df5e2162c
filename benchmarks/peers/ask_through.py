"""Our path with another transport: body rendered, sent, read, decoded. Run by `transports.py`."""

from __future__ import annotations

import asyncio
import os
import site

import uvloop

from benchmarks.peers.adapters import CLIENTS, Target
from benchmarks.peers.measuring import main
from semtel_dagster.requests.body import compile_body
from tests.requests.builders import prompt


class Through:
    """A client that keeps its connections from the warm-up on."""

    def __init__(self, name: str, http2: bool, authority: str | None) -> None:
        self._name, self._http2, self._authority = name, http2, authority
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._template = compile_body(prompt(), "m")
        self._client = self._send = None

    def ask(self, base_url: str, texts: list[str], in_flight: int) -> int:
        return self._runner.run(self._all(base_url, texts, in_flight))

    async def _all(self, base_url: str, texts: list[str], in_flight: int) -> int:
        if self._client is None:
            target = Target(f"{base_url}/chat/completions", in_flight, self._authority, self._http2)
            self._client = CLIENTS[self._name](target)
            self._send = await self._client.__aenter__()
        send, render, rest = self._send, self._template.render, iter(texts)

        async def worker() -> int:
            answered = 0
            for said in rest:
                outcome = await send(render(said))
                answered += outcome.text is not None
            return answered

        return sum(await asyncio.gather(*(worker() for _ in range(in_flight))))


if __name__ == "__main__":
    site.addsitedir(os.environ["BENCHMARK_PACKAGES"])  # after this environment's own, for what it lacks
    client = Through(
        os.environ["BENCHMARK_CLIENT"], os.environ["BENCHMARK_HTTP2"] == "1", os.environ.get("SSL_CERT_FILE")
    )
    main(client.ask)

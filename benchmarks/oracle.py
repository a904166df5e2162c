"""A client that is told every limit and the schedule of every server, and only has to keep time.

The best that a real client can do: the project's own transport, a bucket per server as the server itself keeps it, no
learning, no limit on calls in flight. A row that is refused or fails goes to the end of the line.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from itertools import count

from benchmarks.trouble import granted
from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.caller import HttpCaller
from semtel_dagster.requests.capabilities import Capabilities
from semtel_dagster.requests.outcome import Kind
from tests.requests.builders import endpoint, prompt

TICK_S = 0.01
SAFETY = 0.998
SLOTS = 2048


@dataclass
class Bucket:
    """What a server still grants, by its own script."""

    script: Script
    level: float
    at: float = 0.0

    def refill(self, now: float) -> None:
        """Adds what came since; holds a second's worth, as the server does."""
        rate = granted(self.script, now, now + 1e-6) / 1e-6
        self.level = min(self.level + granted(self.script, self.at, now) * SAFETY, rate)
        self.at = now


async def work(urls: dict[str, str], scripts: dict[str, Script], seconds: float) -> None:
    """Sends what the servers grant for so many seconds; no row ends without an answer, but some are still in line."""
    with tempfile.TemporaryDirectory() as folder:
        callers = {
            name: HttpCaller(endpoint(url, name=name), prompt(), Capabilities(folder, name), SLOTS)
            for name, url in urls.items()
        }
        await _pace(callers, scripts, seconds)


async def _pace(callers: dict[str, HttpCaller], scripts: dict[str, Script], seconds: float) -> None:
    buckets = {name: Bucket(script, level=granted(script, 0.0, 1.0)) for name, script in scripts.items()}
    again: deque[str] = deque()
    fresh = (f"row {number}" for number in count())
    tasks: set[asyncio.Task[None]] = set()

    async def ask(name: str, text: str) -> None:
        outcome = await callers[name].call(text, 60.0)
        if outcome.kind is not Kind.ANSWERED:
            again.append(text)

    began = time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        for name, bucket in buckets.items():
            bucket.refill(now)
            while bucket.level >= 1.0:
                bucket.level -= 1.0
                task = asyncio.create_task(ask(name, again.popleft() if again else next(fresh)))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        await asyncio.sleep(TICK_S)
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for caller in callers.values():
        await caller.close()

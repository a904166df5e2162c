"""Small builders for tests of the engine without a network: endpoints whose calls are a function."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pyarrow as pa

from semtel_dagster.requests.endpoint import Endpoint
from semtel_dagster.requests.engine import Engine
from semtel_dagster.requests.outcome import Kind, Outcome
from semtel_dagster.requests.row import Record, Row
from semtel_dagster.settings import EndpointSettings
from tests.requests import builders

ANSWER = Outcome(Kind.ANSWERED, status=200, text="x", finish_reason="stop", output_tokens=5)
NOWHERE = "/dev/null"  # a folder that nobody can make
BROKEN = Outcome(Kind.TRANSIENT, "server_error", 500)

Answer = Callable[[str], Awaitable[Outcome]]


class Calls:
    """A caller that answers as a function says, and keeps what it was asked."""

    model = "m"

    def __init__(self, answer: Answer | Outcome = ANSWER) -> None:
        self.asked: list[str] = []
        self._answer = answer

    async def call(self, transcript: str, timeout: float) -> Outcome:
        self.asked.append(transcript)
        await asyncio.sleep(0)
        return self._answer if isinstance(self._answer, Outcome) else await self._answer(transcript)

    async def close(self) -> None:
        pass


def settings_of(name: str, kind: str = "openai") -> EndpointSettings:
    """An endpoint's settings."""
    if kind == "embedded":
        return EndpointSettings(name=name, kind="embedded")
    return builders.endpoint("http://127.0.0.1:9/v1", name=name)


def an_endpoint(caller: Calls | None = None, name: str = "one", kind: str = "openai", **plan: Any) -> Endpoint:
    """An endpoint whose calls go to a function."""
    settings = settings_of(name, kind)
    return Endpoint(settings, caller or Calls(), builders.plan(NOWHERE, settings, **plan), 10, 20)


def a_row(text: str = "x") -> Row:
    """A row of a short text."""
    return Row(builders.hash_of(text), pa.array([text], pa.large_string()), 0, 4)


def rows(count: int) -> list[Row]:
    """So many rows: "0", "1", ..."""
    return [a_row(str(number)) for number in range(count)]


def engine(records: list[Record], *endpoints: Endpoint, requests: dict[str, Any] | None = None, **plan: Any) -> Engine:
    """An engine over these endpoints; must be called inside a loop."""
    settings = [settings_of(each.name, "embedded" if each.local else "openai") for each in endpoints]
    journal = plan.pop("journal", NOWHERE)
    return Engine(endpoints, builders.plan(journal, *settings, requests=requests, **plan), "f" * 16, records.extend)


def work(some: list[Row], *endpoints: Endpoint, requests: dict[str, Any] | None = None, **plan: Any) -> list[Record]:
    """Lets an engine work some rows off; what became of them."""

    async def main() -> list[Record]:
        records: list[Record] = []
        running = engine(records, *endpoints, requests=requests, **plan)
        running.feed(some)
        running.close_input()
        await running.run()
        return records

    return asyncio.run(main())


def learn(endpoint: Endpoint, calls: int = 100, latency: float = 0.1) -> None:
    """Lets an endpoint answer so many calls, so that it knows how long they take."""
    for _ in range(calls):
        flight = endpoint.begin(a_row(), 0.0)
        endpoint.end(flight, ANSWER, latency)

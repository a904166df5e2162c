"""One call over the real transport, and what the check of an endpoint says, for tests of the network."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from semtel_dagster.requests.check import Finding, check_endpoint
from semtel_dagster.requests.outcome import Outcome
from semtel_dagster.requests.transport import HttpTransport
from tests.requests.builders import endpoint, plan

BODY = b'{"model":"m","messages":[{"role":"user","content":"hello"}]}'


def post(base_url: str) -> Outcome:
    """Posts one body over a connection of its own."""

    async def once() -> Outcome:
        transport = HttpTransport({}, 1)
        try:
            return await transport.post(f"{base_url}/chat/completions", BODY, 60.0)
        finally:
            await transport.close()

    return asyncio.run(once())


def finding(base_url: str, folder: Path, **fields: Any) -> Finding:
    """What `semtel check` says about an endpoint there."""
    one = endpoint(base_url, **fields)
    (found,) = check_endpoint(one, plan(folder / "journal", one))
    return found

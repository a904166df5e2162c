"""The HTTP/2 server's answer, for granian: a chat completion after 100 ms."""

from __future__ import annotations

import asyncio
import json
from typing import Any

LATENCY_S = 0.1
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": '{"colour": "red"}', "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 1800, "completion_tokens": 6, "total_tokens": 1806},
    }
).encode()


async def app(_scope: Any, protocol: Any) -> None:
    await protocol()
    await asyncio.sleep(LATENCY_S)
    protocol.response_bytes(200, [("content-type", "application/json")], ANSWER)

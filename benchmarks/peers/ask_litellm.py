"""litellm: its asynchronous call, without its router (which costs more)."""

from __future__ import annotations

import asyncio
import os

from measuring import OPTIONS, main, messages

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else importing the package fetches it


def ask(base_url: str, texts: list[str], in_flight: int) -> int:
    import litellm

    litellm.telemetry = False

    async def all_of_them() -> int:
        rest = iter(texts)

        async def worker() -> int:
            answered = 0
            for said in rest:
                reply = await litellm.acompletion(
                    "openai/m", messages(said), api_base=base_url, api_key="none", timeout=120, **OPTIONS
                )
                answered += bool(reply.choices[0].message.content)
            return answered

        return sum(await asyncio.gather(*(worker() for _ in range(in_flight))))

    return asyncio.run(all_of_them())


if __name__ == "__main__":
    main(ask)

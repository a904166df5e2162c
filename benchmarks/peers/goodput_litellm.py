"""litellm's Router over the endpoints as deployments of one model."""

from __future__ import annotations

import asyncio
import os

from goodput_asking import IN_FLIGHT, OPTIONS, RETRIES, main, messages

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else importing the package fetches it


def ask(urls: list[str], texts: list[str]) -> int:
    import litellm

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    deployments = [
        {"model_name": "m", "litellm_params": {"model": "openai/m", "api_base": url, "api_key": "none", "timeout": 30}}
        for url in urls
    ]
    router = litellm.Router(model_list=deployments, num_retries=RETRIES)

    async def all_of_them() -> int:
        rest = iter(texts)

        async def worker() -> int:
            answered = 0
            for said in rest:
                try:
                    reply = await router.acompletion("m", messages(said), **OPTIONS)
                except Exception:  # noqa: BLE001, the Router raises kinds of its own
                    continue
                answered += bool(reply.choices[0].message.content)
            return answered

        return sum(await asyncio.gather(*(worker() for _ in range(IN_FLIGHT))))

    return asyncio.run(all_of_them())


if __name__ == "__main__":
    main(ask)

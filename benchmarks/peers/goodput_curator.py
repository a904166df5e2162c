"""bespokelabs-curator: it knows one endpoint, so a process for each, rows dealt out evenly."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from goodput_asking import IN_FLIGHT, OPTIONS, RETRIES, main, messages

_LITELLM = Path(importlib.util.find_spec("litellm").origin).parent
os.environ["TELEMETRY_ENABLED"] = "false"
os.environ["CURATOR_DISABLE_RICH_DISPLAY"] = "1"
os.environ["OPENAI_API_KEY"] = "none"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it is fetched, as the vocabulary is
os.environ["TIKTOKEN_CACHE_DIR"] = str(_LITELLM / "litellm_core_utils" / "tokenizers")


def ask_one(url: str, texts: list[str], in_flight: int) -> int:
    """A process's part; the package reads the variables above when it is imported."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CURATOR_CACHE_DIR"] = folder
        from bespokelabs import curator

        class Asker(curator.LLM):
            def prompt(self, row: dict[str, str]) -> list[dict[str, str]]:
                return messages(row["text"])

            def parse(self, row: dict[str, str], answer: str) -> dict[str, str]:
                return {"answer": answer} if row else {}

        wide: dict[str, Any] = {"max_requests_per_minute": 10**7, "max_tokens_per_minute": 10**12}
        wide |= {"max_concurrent_requests": in_flight, "max_retries": RETRIES, "require_all_responses": False}
        asker = Asker(
            model_name="m",
            backend="openai",
            generation_params=OPTIONS,
            backend_params={"base_url": url, "api_key": "none", **wide},
        )
        answers = asker([{"text": said} for said in texts], working_dir=folder)
        return sum(bool(row["answer"]) for row in answers.dataset)


def ask(urls: list[str], texts: list[str]) -> int:
    parts = [texts[at :: len(urls)] for at in range(len(urls))]
    with ProcessPoolExecutor(len(urls)) as pool:
        return sum(pool.map(ask_one, urls, parts, [IN_FLIGHT // len(urls)] * len(urls)))


if __name__ == "__main__":
    main(ask)

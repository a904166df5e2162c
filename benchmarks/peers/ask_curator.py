"""bespokelabs-curator: a subclass of its LLM on the openai backend, with a cache folder that is thrown away."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

from measuring import OPTIONS, main, messages

_LITELLM = Path(importlib.util.find_spec("litellm").origin).parent
os.environ["TELEMETRY_ENABLED"] = "false"
os.environ["CURATOR_DISABLE_RICH_DISPLAY"] = "1"
os.environ["OPENAI_API_KEY"] = "none"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it is fetched, as the vocabulary is
os.environ["TIKTOKEN_CACHE_DIR"] = str(_LITELLM / "litellm_core_utils" / "tokenizers")


def asker(base_url: str, in_flight: int) -> Any:
    """The client; the package reads the variables above when it is imported."""
    from bespokelabs import curator

    class Asker(curator.LLM):
        def prompt(self, row: dict[str, str]) -> list[dict[str, str]]:
            return messages(row["text"])

        def parse(self, row: dict[str, str], answer: str) -> dict[str, str]:
            return {"answer": answer} if row else {}

    limits = {"max_requests_per_minute": 10**7, "max_tokens_per_minute": 10**12, "max_concurrent_requests": in_flight}
    parameters = {"base_url": base_url, "api_key": "none", "require_all_responses": True, **limits}
    return Asker(model_name="m", backend="openai", generation_params=OPTIONS, backend_params=parameters)


def ask(base_url: str, texts: list[str], in_flight: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CURATOR_CACHE_DIR"] = folder
        answers = asker(base_url, in_flight)([{"text": said} for said in texts], working_dir=folder)
        return sum(bool(row["answer"]) for row in answers.dataset)


if __name__ == "__main__":
    main(ask)

"""Asking an OpenAI-compatible endpoint for embeddings, through the `openai` package.

Embeddings are asked for in batches and stored once, so the package's cost per call does not matter here. Answers
about conversations belong in `classify`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from semtel_dagster.errors import EndpointError
from semtel_dagster.requests.caller import address_of
from semtel_dagster.requests.credentials import entra_provider, key_of
from semtel_dagster.settings import EndpointSettings

if TYPE_CHECKING:
    from openai import AzureOpenAI, OpenAI

TEXTS_PER_CALL = 64
RETRIES = 8
TIMEOUT_S = 120.0
NO_KEY = "none"


@dataclass(frozen=True)
class EmbeddingPost:
    """Sends texts to an endpoint's `/embeddings`; picklable, the key is read where it runs."""

    endpoint: EndpointSettings

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, in order.

        Raises:
            EndpointError: The endpoint does not answer, refuses the key, or does not know the model.
            SettingsError: The variable that should hold the key is not set.
        """
        import openai

        vectors: list[list[float]] = []
        for start in range(0, len(texts), TEXTS_PER_CALL):
            part = list(texts[start : start + TEXTS_PER_CALL])
            try:
                reply = _client(self.endpoint).embeddings.create(
                    model=str(self.endpoint.model), input=part, encoding_format="float"
                )
            except openai.OpenAIError as error:
                raise EndpointError(self._explain(error)) from None
            vectors.extend(item.embedding for item in sorted(reply.data, key=lambda item: item.index))
        return vectors

    def _explain(self, error: Exception) -> str:
        status = getattr(error, "status_code", None)
        what = f"HTTP {status}" if status else type(error).__name__
        return (
            f"endpoint {self.endpoint.name!r} gave no embeddings ({what}); check its base_url, model and key, or set "
            "dedupe.embedding to embedded"
        )


def post_for(endpoint: EndpointSettings) -> tuple[EmbeddingPost, int]:
    """An endpoint's call, and the length of its vectors (found out by one tiny call)."""
    post = EmbeddingPost(endpoint)
    (vector,) = post(["length"])
    return post, len(vector)


@cache
def _client(endpoint: EndpointSettings) -> OpenAI | AzureOpenAI:
    import openai

    key, url = key_of(endpoint), address_of(endpoint).url
    provider = entra_provider() if endpoint.kind == "azure" and key is None else None
    options: dict[str, Any] = {"max_retries": RETRIES, "timeout": TIMEOUT_S}
    if endpoint.kind == "azure" and endpoint.api_version:
        return openai.AzureOpenAI(
            azure_endpoint=url.rpartition("/openai/deployments/")[0],
            api_version=endpoint.api_version,
            api_key=key,
            azure_ad_token_provider=provider,
            **options,
        )
    return openai.OpenAI(base_url=url.removesuffix("/chat/completions"), api_key=provider or key or NO_KEY, **options)

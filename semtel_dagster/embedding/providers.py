"""Which embedding provider the settings ask for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from semtel_dagster.embedding.base import ProviderFactory
from semtel_dagster.embedding.embedded import EmbeddedProvider
from semtel_dagster.embedding.remote import EndpointProvider, Post
from semtel_dagster.errors import SettingsError
from semtel_dagster.settings import EndpointSettings, Settings

PostFactory = Callable[[EndpointSettings], tuple[Post, int]]


def embedding_provider(settings: Settings, post_for: PostFactory | None = None) -> ProviderFactory | None:
    """A picklable factory of the provider that `dedupe.embedding` names; None for "none".

    Args:
        settings: Names the provider, and has its endpoint.
        post_for: Gives an endpoint's call and the length of its vectors; the room of requests has it.

    Raises:
        SettingsError: An endpoint is named, but it cannot be asked for embeddings.
    """
    name = settings.dedupe.embedding
    if name == "none":
        return None
    endpoint = next((each for each in settings.endpoints if each.name == name and each.kind != "embedded"), None)
    if endpoint is None:
        return EmbeddedProvider
    if post_for is None:
        raise SettingsError(
            f"dedupe.embedding names the endpoint {name!r}, which this run cannot ask for embeddings; set it to "
            "embedded or none"
        )
    post, dimensions = post_for(endpoint)
    return partial(EndpointProvider, f"{endpoint.model}@{name}", dimensions, post)

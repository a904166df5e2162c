"""Embeddings from an endpoint over real HTTP."""

import numpy as np
import pytest

from semtel_dagster.embedding.providers import embedding_provider
from semtel_dagster.errors import EndpointError
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.embeddings import post_for
from semtel_dagster.settings import EndpointSettings, Settings
from tests.requests.identity_server import serve_identity


def settings_for(base_url, **fields):
    endpoint = EndpointSettings(name="east", base_url=base_url, model="loopback", **fields)
    return Settings(endpoints=(endpoint,), dedupe={"embedding": "east"})


def test_texts_come_back_as_unit_vectors_in_their_order():
    texts = [f"text number {number}" for number in range(150)]
    with serve(Script(dimensions=8)) as server:
        provider = embedding_provider(settings_for(server.base_url), post_for)()
        whole = provider.embed(texts)
        single = provider.embed(texts[77:78])
    assert whole.shape == (150, 8)
    assert np.linalg.norm(whole, axis=1) == pytest.approx(np.ones(150), abs=1e-3)
    assert (whole[77] == single[0]).all()


def test_a_wrong_key_is_told_without_the_key(monkeypatch):
    monkeypatch.setenv("EAST_KEY", "sk-wrong-secret")
    with serve(Script(api_key="right")) as server, pytest.raises(EndpointError) as error:
        embedding_provider(settings_for(server.base_url, api_key_env="EAST_KEY"), post_for)
    assert "HTTP 401" in str(error.value)
    assert "sk-wrong-secret" not in str(error.value)


@pytest.mark.parametrize("version", [None, "2024-10-21"], ids=["v1 path", "deployment path"])
@pytest.mark.parametrize("key", [None, "made-up-key"], ids=["entra", "key"])
def test_azure_embeddings_take_a_key_or_the_machines_identity(monkeypatch, version, key):
    with serve_identity() as identity, serve(Script(dimensions=4, api_key=key or "made-up-token-1")) as server:
        for name, value in {**identity.environment, "MADE_UP": key or ""}.items():
            monkeypatch.setenv(name, value)
        opened = {"api_key_env": "MADE_UP"} if key else {}
        one = EndpointSettings(
            name="a", kind="azure", base_url=server.root_url, model="m", api_version=version, **opened
        )
        _, length = post_for(one)
    assert length == 4
    assert len(identity.given) == (0 if key else 1)

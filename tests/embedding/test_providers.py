"""Which provider the settings ask for, and endpoints as providers."""

import pickle

import numpy as np
import pytest

from semtel_dagster.embedding.embedded import EmbeddedProvider
from semtel_dagster.embedding.providers import embedding_provider
from semtel_dagster.embedding.remote import BATCH_TEXTS, EndpointProvider
from semtel_dagster.errors import EndpointError, SettingsError
from semtel_dagster.settings import Settings

ENDPOINT = {"name": "east", "base_url": "http://127.0.0.1:1/v1", "model": "small"}


def lengths(texts):
    return [[float(len(text)), 1.0, 0.0] for text in texts]


def test_the_embedded_model_is_the_default():
    factory = embedding_provider(Settings())
    assert isinstance(pickle.loads(pickle.dumps(factory))(), EmbeddedProvider)


def test_none_means_no_provider():
    assert embedding_provider(Settings(dedupe={"embedding": "none"})) is None


def test_an_endpoint_of_kind_embedded_is_the_embedded_model():
    settings = Settings(dedupe={"embedding": "local"}, endpoints=[{"name": "local", "kind": "embedded"}])
    assert embedding_provider(settings) is EmbeddedProvider


def test_an_endpoint_is_asked_through_the_given_call():
    settings = Settings(dedupe={"embedding": "east"}, endpoints=[ENDPOINT])
    factory = embedding_provider(settings, lambda endpoint: (lengths, 3))
    provider = pickle.loads(pickle.dumps(factory))()
    assert (provider.name, provider.dimensions) == ("small@east", 3)
    assert np.allclose(provider.embed(["abc"]), [[3 / np.sqrt(10), 1 / np.sqrt(10), 0]], atol=1e-6)


def test_an_endpoint_that_nothing_can_ask_is_named():
    settings = Settings(dedupe={"embedding": "east"}, endpoints=[ENDPOINT])
    with pytest.raises(SettingsError, match=r"'east'.*set it to embedded or none"):
        embedding_provider(settings)


def test_texts_are_sent_in_batches_and_vectors_keep_their_order():
    sizes = []

    def post(texts):
        sizes.append(len(texts))
        return lengths(texts)

    texts = ["x" * (number % 50) for number in range(BATCH_TEXTS + 5)]
    vectors = EndpointProvider("m", 3, post).embed(texts)
    assert sizes == [BATCH_TEXTS, 5]
    assert np.allclose(vectors[:, 0] / vectors[:, 1], [len(text) for text in texts], atol=0.05)
    assert vectors.dtype == np.float32


@pytest.mark.parametrize("answer", [[[1.0, 2.0]], [], [[1.0, 2.0, float("nan")]], [[1.0, 2.0, 3.0]] * 2])
def test_a_wrong_answer_is_an_error_without_the_text(answer):
    with pytest.raises(EndpointError, match="'m' answered 1 texts") as raised:
        EndpointProvider("m", 3, lambda texts: answer).embed(["secret words"])
    assert "secret" not in str(raised.value)

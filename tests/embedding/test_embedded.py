"""The default embedding: deterministic, independent of batching, and near only for near duplicates."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.embedding import static_vectors
from semtel_dagster.embedding.embedded import EmbeddedProvider
from semtel_dagster.embedding.static_vectors import load_static_vectors
from semtel_dagster.errors import DependencyError

PROVIDER = EmbeddedProvider()
LETTER = (
    "Could you write a letter to my landlord about the heating? It has been out for nine days, I have called twice, "
    "and the caretaker only says that a part was ordered. I want to stay polite but set a deadline of one week and "
    "mention that I will reduce the rent if nothing happens by then."
)
texts = st.lists(
    st.text(max_size=60) | st.sampled_from([LETTER, "hi", "", "你好，帮我看看", "a\u2028b"]), min_size=1, max_size=6
)


def cosine(first: str, second: str) -> float:
    a, b = PROVIDER.embed([first, second])
    return float(a @ b)


@settings(max_examples=40, deadline=None)
@given(texts)
def test_a_vector_does_not_depend_on_what_it_is_batched_with(batch):
    together = PROVIDER.embed(batch)
    assert together.dtype == np.float32
    assert together.shape == (len(batch), PROVIDER.dimensions)
    for text, vector in zip(batch, together, strict=True):
        assert np.array_equal(PROVIDER.embed([text])[0], vector)


@settings(max_examples=40, deadline=None)
@given(texts)
def test_every_vector_has_norm_one(batch):
    assert np.allclose(np.linalg.norm(PROVIDER.embed(batch), axis=1), 1, atol=1e-5)


def test_a_large_batch_equals_small_ones():
    batch = [f"{LETTER} {number}" for number in range(300)]
    assert np.array_equal(PROVIDER.embed(batch), np.concatenate([PROVIDER.embed(batch[:7]), PROVIDER.embed(batch[7:])]))


def test_no_text_gives_no_vector():
    assert PROVIDER.embed([]).shape == (0, PROVIDER.dimensions)


@pytest.mark.parametrize(
    "edited",
    [
        LETTER.replace("nine", "ten"),
        LETTER.replace("? It", "! It"),
        LETTER.upper(),
        LETTER.replace(", and", " and"),
        LETTER.removesuffix("."),
    ],
)
def test_a_small_edit_of_a_message_is_a_near_duplicate(edited):
    assert cosine(LETTER, edited) >= 0.95


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (LETTER, LETTER.replace("landlord", "neighbour").replace("heating", "noise").split("but")[0]),
        ("how do i allow cookies in my browser", "how do i block all the cookies in a browser"),
        ("translate good morning into french", "translate good evening into german"),
        (" ".join(sorted(LETTER.split())), LETTER),
    ],
)
def test_another_request_in_similar_words_is_not(first, second):
    assert cosine(first, second) < 0.95


def test_long_texts_of_the_same_language_do_not_drift_together():
    sentences = [
        f"Point {n}: the {a} of the {b} was {c}."
        for n, (a, b, c) in enumerate(
            (a, b, c)
            for a in ("price", "colour", "age")
            for b in ("house", "river", "engine")
            for c in ("low", "new", "odd")
        )
    ]
    others = [s.replace("price", "taste").replace("house", "soup").replace("engine", "bread") for s in sentences]
    assert cosine(" ".join(sentences), " ".join(reversed(others))) < 0.95


def test_the_provider_can_be_sent_to_another_process():
    assert np.array_equal(pickle.loads(pickle.dumps(PROVIDER)).embed([LETTER]), PROVIDER.embed([LETTER]))


def test_other_weights_than_the_measured_ones_are_refused(monkeypatch):
    monkeypatch.setattr(static_vectors, "WEIGHTS", (static_vectors.WEIGHTS[0], "0" * 64))
    load_static_vectors.cache_clear()
    try:
        with pytest.raises(DependencyError, match="pip install --force-reinstall 'wordllama=="):
            load_static_vectors()
    finally:
        load_static_vectors.cache_clear()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(static_vectors, "find_spec", lambda name: None)
    load_static_vectors.cache_clear()
    with pytest.raises(DependencyError, match="pip install 'wordllama=="):
        load_static_vectors()

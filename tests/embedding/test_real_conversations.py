"""What cosine .95 means on real conversations: what benchmarks/near_duplicates.py measures, on a part of them."""

import numpy as np
import polars as pl
import pytest

from semtel_dagster.embedding.cells import build_cells
from semtel_dagster.embedding.embedded import EmbeddedProvider
from semtel_dagster.embedding.near_duplicates import Comparisons
from tests.shared_data import shared_file

pytestmark = pytest.mark.shared


def texts_of(name, rows):
    table = pl.read_parquet(shared_file(f"{name}/conversations.parquet")).sort("conversation_id").head(rows)
    joined = ("\n".join(message["content"] for message in each) for each in table["messages"].to_list())
    return sorted({text[:3000] for text in joined})


def shingles(text):
    words = text.lower().split()
    return {tuple(words[i : i + 3]) for i in range(max(len(words) - 2, 1))}


def edges(vectors, threshold=0.95, nearest=None):
    rows = np.arange(len(vectors))
    found = Comparisons(vectors, threshold, nearest).edges(rows, rows)
    return list(zip(found.left.tolist(), found.right.tolist(), strict=True))


def test_english_conversations_that_are_merged_share_most_of_their_wording():
    texts = texts_of("sharegpt", 2500)
    pairs = edges(EmbeddedProvider().embed(texts))
    assert pairs
    for a, b in pairs:
        first, second = shingles(texts[a]), shingles(texts[b])
        assert len(first & second) >= 0.4 * len(first | second)


def test_no_two_of_the_long_chinese_conversations_are_merged():
    """They are different ones by different people, and plain means of token vectors merge thousands of them."""
    assert edges(EmbeddedProvider().embed(texts_of("recllmsim", 600))) == []


def test_the_candidate_plan_finds_the_edges_of_real_embeddings():
    vectors = EmbeddedProvider().embed(texts_of("sharegpt", 2500))
    all_edges = edges(vectors, 0.9)
    assert len(all_edges) >= 5
    assert set(edges(vectors, 0.9, build_cells(vectors).assign(vectors))) == set(all_edges)

"""Near duplicates apart from one another: the same groups as with all vectors in one place, through frames only."""

from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.embedding.cells import build_cells
from semtel_dagster.embedding.near_duplicates import find_groups
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.stages import spread_duplicates as module
from semtel_dagster.stages.spread_duplicates import STANDS_FOR, find_groups_apart, plan_cells
from tests.embedding.test_near_duplicates import planted

ENGINE = PolarsEngine()
THRESHOLD = 0.95


def hashes_of(rows, seed=0):
    """So many different hashes, sorted, spread over all first digits."""
    raw = np.random.default_rng(seed).integers(0, 2**63, size=(rows, 2), dtype=np.int64)
    return sorted(f"{low * 2 % 2**64:016x}{high:016x}" for low, high in raw.tolist())


def embeddings_of(vectors, hashes, seed=0, standing=None):
    """A frame of embeddings in any order; some rows may stand before all others."""
    order = np.random.default_rng(seed).permutation(len(vectors))
    matrix = pa.FixedSizeListArray.from_arrays(pa.array(vectors[order].reshape(-1)), vectors.shape[1])
    names = pa.array([hashes[row] for row in order], pa.large_string())
    columns = {"content_hash": names, "embedding": matrix}
    if standing is not None:
        columns["standing"] = pa.array(np.isin(order, standing))
    return ENGINE.from_arrow(pa.table(columns))


def expected(vectors, hashes, cells, standing=None):
    groups = find_groups(vectors, THRESHOLD, cells, standing)
    return {
        hashes[row]: (hashes[to], cosine)
        for row, (to, cosine) in enumerate(zip(groups.representative, groups.similarity, strict=True))
        if row != to
    }


def found(vectors, hashes, seed=0, standing=None):
    table = find_groups_apart(embeddings_of(vectors, hashes, seed, standing), len(vectors), THRESHOLD, ENGINE)
    assert table.schema == STANDS_FOR
    return {row["content_hash"]: (row["representative_hash"], row["cosine"]) for row in table.to_pylist()}


@pytest.mark.parametrize("many", [module.MANY_EDGES, -1])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_groups_are_those_of_the_whole_matrix_with_all_edges_at_once_or_in_two_parts(many, seed):
    vectors, hashes = planted(60 + seed % 40, 120, dimensions=8, seed=seed), hashes_of(180 + seed % 40, seed)
    with patch.object(module, "MANY_EDGES", many):
        assert found(vectors, hashes, seed) == expected(vectors, hashes, build_cells(vectors))


@pytest.mark.parametrize("many", [module.MANY_EDGES, -1])
def test_many_rows_in_many_cells(many):
    vectors, hashes = planted(2500, 1500, dimensions=64), hashes_of(4000)
    with patch.object(module, "MANY_EDGES", many):
        groups = found(vectors, hashes)
    assert groups == expected(vectors, hashes, build_cells(vectors))
    assert len(groups) > 1000


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_rows_that_stand_before_all_others_keep_what_they_cover(seed):
    vectors, hashes = planted(60 + seed % 40, 120, dimensions=8, seed=seed), hashes_of(180 + seed % 40, seed)
    standing = np.flatnonzero(np.random.default_rng(seed).random(len(vectors)) < seed % 10 / 20)
    assert found(vectors, hashes, seed, standing) == expected(vectors, hashes, build_cells(vectors), standing)


def test_the_cells_are_those_of_the_whole_matrix():
    vectors, hashes = planted(6000, 0, dimensions=16), hashes_of(6000)
    cells = plan_cells(embeddings_of(vectors, hashes), len(vectors))
    assert np.array_equal(cells.centroids, build_cells(vectors).centroids)


def test_a_large_group_of_copies_never_needs_all_its_pairs(monkeypatch):
    monkeypatch.setattr(module, "MANY_EDGES", 1000)
    vectors, hashes = planted(600, 0, dimensions=64), hashes_of(600)
    vectors[::2] = vectors[0]
    seen = []
    search = module.EdgeSearch.edges
    monkeypatch.setattr(module.EdgeSearch, "edges", lambda self, rows: seen.append(search(self, rows)) or seen[-1])
    groups = found(vectors, hashes)
    assert {groups[name][0] for name in hashes[2::2]} == {hashes[0]}
    assert max(edges.num_rows for edges in seen) < 3000


def test_without_any_edge_there_are_no_groups():
    vectors, hashes = np.eye(40, dtype=np.float32), hashes_of(40)
    assert found(vectors, hashes) == {}

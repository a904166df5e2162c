"""Near duplicates: exact edges, one definition of groups, nothing depends on threads or blocks."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from semtel_dagster.embedding import cells as cells_module
from semtel_dagster.embedding import near_duplicates as module
from semtel_dagster.embedding.cells import build_cells, cell_count, quantised
from semtel_dagster.embedding.near_duplicates import Comparisons, Edges, find_groups, first_independent_set

THRESHOLD = 0.95


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def planted(rows, copies, dimensions=32, seed=0, near=0.97):
    """Random unit rows around some topics, and rows at a given cosine to earlier ones, shuffled."""
    rng = np.random.default_rng(seed)
    topics = unit(rng.normal(size=(10, dimensions)))
    originals = unit(0.6 * topics[rng.integers(10, size=rows)] + 0.8 * unit(rng.normal(size=(rows, dimensions))))
    source = originals[rng.integers(rows, size=copies)]
    noise = rng.normal(size=(copies, dimensions))
    noise = unit(noise - (noise * source).sum(axis=1, keepdims=True) * source)
    moved = near * source + np.sqrt(1 - near**2) * noise
    return np.concatenate([originals, moved])[rng.permutation(rows + copies)].astype(np.float32)


def brute_edges(vectors, threshold=THRESHOLD):
    exact = vectors.astype(np.float64)
    norms = np.linalg.norm(exact, axis=1)
    similarity = np.round(exact @ exact.T / np.outer(norms, norms), 6)
    left, right = np.nonzero(np.triu(similarity >= threshold, k=1))
    return set(zip(left.tolist(), right.tolist(), strict=True))


def pairs(edges):
    return list(zip(edges.left.tolist(), edges.right.tolist(), strict=True))


def greedy_groups(vectors, threshold=THRESHOLD, standing=()):
    """The definition, one row after the other; some rows may stand before all others."""
    exact = vectors.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    similarity = np.minimum(np.round(exact @ exact.T, 6), 1)
    kept = list(standing)
    for row in range(len(vectors)):
        if row not in kept and all(similarity[row, other] < threshold for other in kept):
            kept.append(row)
    return [row if row in kept else min(kept, key=lambda k: (-similarity[row, k], k)) for row in range(len(vectors))]


vectors_of_few_directions = st.integers(0, 10_000).map(
    lambda seed: planted(12 + seed % 17, 30, dimensions=4, seed=seed, near=0.98)
)


def test_all_edges_are_found_when_all_rows_are_compared():
    vectors = planted(400, 200)
    rows = np.arange(len(vectors))
    found = pairs(Comparisons(vectors, THRESHOLD).edges(rows, rows))
    assert len(found) == len(set(found))
    assert set(found) == brute_edges(vectors)
    assert len(found) >= 150


@pytest.mark.parametrize("many", [module.MANY_EDGES, -1])
@settings(max_examples=40, deadline=None)
@given(vectors_of_few_directions)
def test_groups_are_those_of_the_definition_with_all_edges_at_once_or_in_two_parts(many, vectors):
    with patch.object(module, "MANY_EDGES", many):
        assert find_groups(vectors, THRESHOLD).representative.tolist() == greedy_groups(vectors)


@settings(max_examples=60, deadline=None)
@given(vectors_of_few_directions, st.floats(0.5, 1.0))
def test_no_row_is_farther_than_the_threshold_from_its_representative(vectors, threshold):
    groups = find_groups(vectors, threshold)
    represented = groups.representative != np.arange(len(vectors))
    assert (groups.similarity[represented] >= threshold).all()
    assert (groups.similarity[~represented] == 1.0).all()
    assert np.array_equal(groups.representative[groups.representative], groups.representative)
    exact = vectors.astype(np.float64)
    cosine = (exact * exact[groups.representative]).sum(axis=1)
    assert np.allclose(cosine, groups.similarity, atol=1e-5)


def test_a_chain_is_not_one_group():
    angles = np.deg2rad([0, 15, 30, 45])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert find_groups(vectors, 0.95).representative.tolist() == [0, 0, 2, 2]


def test_a_row_joins_its_most_similar_representative_and_the_smaller_of_equals():
    angles = np.deg2rad([20, 0, 11, 10])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert find_groups(vectors, 0.98).representative.tolist() == [0, 1, 0, 0]


def test_a_row_of_the_first_part_may_join_a_later_representative(monkeypatch):
    """Row 0 keeps row 1, but row 1 is nearer to the last row, which is settled in the second part."""
    monkeypatch.setattr(module, "MANY_EDGES", -1)
    angles = np.deg2rad([0, 17, *range(90, 300, 7), 30])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    groups = find_groups(vectors, 0.95)
    assert groups.representative[1] == len(vectors) - 1
    assert groups.representative.tolist() == greedy_groups(vectors)


@settings(max_examples=60, deadline=None)
@given(vectors_of_few_directions, st.sets(st.integers(0, 41), max_size=12), st.booleans())
def test_rows_that_stand_before_all_others_keep_what_they_cover(vectors, standing, by_cells):
    chosen = sorted(row for row in standing if row < len(vectors))
    cells = build_cells(vectors, 1) if by_cells else None
    groups = find_groups(vectors, THRESHOLD, cells, np.array(chosen, dtype=np.int64))
    assert groups.representative.tolist() == greedy_groups(vectors, standing=chosen)


@pytest.mark.parametrize("rows", [0, 1, 2, 15, 16, 17])
def test_few_rows(rows):
    vectors = np.tile(np.eye(1, 8, dtype=np.float32), (rows, 1))
    assert find_groups(vectors, THRESHOLD).representative.tolist() == [0] * rows


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), st.sets(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=60))
def test_the_parallel_set_is_the_greedy_one(count, raw):
    graph = sorted({(min(p), max(p)) for p in raw if p[0] != p[1] and max(p) < count})
    left, right = (np.array([pair[side] for pair in graph], dtype=np.int64) for side in (0, 1))
    greedy = []
    for row in range(count):
        if not any((kept, row) in graph for kept in greedy):
            greedy.append(row)
    chosen = first_independent_set(np.arange(count), Edges(left, right, np.ones(len(graph))))
    assert chosen.tolist() == greedy


class TestCells:
    def test_nearly_all_edges_are_found(self):
        vectors = planted(3000, 1000, dimensions=64)
        rows = np.arange(len(vectors))
        plan = build_cells(vectors)
        found = set(pairs(Comparisons(vectors, THRESHOLD, plan.assign(vectors)).edges(rows, rows)))
        expected = brute_edges(vectors)
        assert found <= expected
        assert len(found) >= 0.999 * len(expected)

    def test_parts_find_what_the_whole_finds(self):
        vectors = planted(1500, 700, dimensions=64)
        plan = build_cells(vectors)
        rows, nearest = np.arange(len(vectors)), plan.assign(vectors)
        comparisons = Comparisons(vectors, THRESHOLD, nearest)
        odd, even = rows[rows % 2 == 1], rows[rows % 2 == 0]
        parts = [comparisons.edges(a, b) for a, b in ((odd, odd), (even, even), (odd, even))]
        assert sorted(pair for part in parts for pair in pairs(part)) == pairs(comparisons.edges(rows, rows))

    def test_groups_do_not_depend_on_threads_or_blocks(self, monkeypatch):
        vectors = planted(1500, 700, dimensions=64)
        plan = build_cells(vectors)
        expected = find_groups(vectors, THRESHOLD, plan)
        for name, value in ((module, 97), (cells_module, 33)):
            monkeypatch.setattr(name, "BLOCK_ROWS", value)
        monkeypatch.setattr(cells_module.os, "cpu_count", lambda: 5)
        with threadpool_limits(limits=2):
            assert np.array_equal(build_cells(vectors).centroids, plan.centroids)
            again = find_groups(vectors, THRESHOLD, plan)
        assert np.array_equal(again.representative, expected.representative)
        assert np.array_equal(again.similarity, expected.similarity)

    def test_rows_may_be_assigned_a_part_at_a_time_and_in_any_order(self):
        vectors = planted(800, 100, dimensions=64)
        plan = build_cells(vectors)
        whole = plan.assign(vectors)
        order = np.random.default_rng(1).permutation(len(vectors))
        parts = [plan.assign(vectors[part]) for part in np.array_split(order, 7)]
        assert np.array_equal(np.concatenate(parts), whole[order])

    def test_centroids_are_integers_whose_products_float32_holds(self):
        plan = build_cells(planted(800, 100, dimensions=64))
        assert np.array_equal(plan.centroids, np.rint(plan.centroids))
        assert (np.linalg.norm(plan.centroids.astype(np.float64), axis=1) <= 2**12).all()

    @settings(max_examples=30, deadline=None)
    @given(st.integers(1, 1600), st.integers(0, 1000))
    def test_quantised_rows_stay_below_the_bound_in_any_dimension(self, dimensions, seed):
        rows = unit(np.random.default_rng(seed).normal(size=(3, dimensions))).astype(np.float32)
        assert (np.linalg.norm(quantised(rows).astype(np.float64), axis=1) <= 2**12).all()

    def test_a_large_group_of_copies_is_one_group(self, monkeypatch):
        monkeypatch.setattr(module, "MANY_EDGES", 1000)
        vectors = planted(600, 0, dimensions=64)
        vectors[::2] = vectors[0]
        groups = find_groups(vectors, THRESHOLD, build_cells(vectors))
        assert (groups.representative[::2] == 0).all()

    @pytest.mark.parametrize(("rows", "cells"), [(1, 2), (20_000, 256), (100_000, 512), (1_000_000, 2048)])
    def test_the_number_of_cells_grows_with_the_square_root(self, rows, cells):
        assert cell_count(rows) == cells

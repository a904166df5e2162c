"""Rows come out by hash, whether they fit into a group or go through files, and nothing stays behind."""

import hashlib
import tempfile

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.engines import external_sort
from semtel_dagster.engines.external_sort import sorted_by_hash

SCHEMA = pa.schema([("hash", pa.large_string()), ("number", pa.int64())])


def batches(hashes, size=7):
    rows = pa.table({"hash": pa.array(hashes, pa.large_string()), "number": pa.array(range(len(hashes)))}, SCHEMA)
    return rows.to_batches(size)


def digests(count):
    return [hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest() for number in range(count)]


def sorted_rows(given):
    return [tuple(row.values()) for batch in sorted_by_hash(given, SCHEMA, "hash") for row in batch.to_pylist()]


@pytest.fixture(params=[external_sort.GROUP_BYTES, 2000], ids=["in memory", "through files"])
def group_bytes(request, monkeypatch):
    monkeypatch.setattr(external_sort, "GROUP_BYTES", request.param)
    return request.param


def test_rows_come_by_hash(group_bytes):
    hashes = digests(500)
    assert sorted_rows(batches(hashes)) == sorted((each, number) for number, each in enumerate(hashes))


def test_rows_with_one_hash_keep_their_order(group_bytes):
    hashes = digests(60) * 3
    assert sorted_rows(batches(hashes)) == sorted((each, number) for number, each in enumerate(hashes))


def test_no_rows_give_none(group_bytes):
    assert sorted_rows([]) == []


def test_batches_are_small_whatever_came(group_bytes):
    found = list(sorted_by_hash(batches(digests(3000), size=3000), SCHEMA, "hash"))
    assert sum(batch.num_rows for batch in found) == 3000
    assert max(batch.num_rows for batch in found) <= external_sort.BATCH_ROWS


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text()))
def test_texts_that_are_no_hashes_are_sorted_as_their_bytes_are(texts):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(external_sort, "GROUP_BYTES", 50)
        found = [text for text, _ in sorted_rows(batches(texts, 2))]
    assert found == sorted(texts, key=str.encode)


def test_the_files_have_no_names_even_while_they_are_used(tmp_path, monkeypatch):
    monkeypatch.setattr(external_sort, "GROUP_BYTES", 2000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rows = sorted_by_hash(batches(digests(500)), SCHEMA, "hash")
    next(rows)
    assert list(tmp_path.iterdir()) == []

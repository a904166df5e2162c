"""Small builders for the cascade's tests: clouds of vectors whose labels are mostly plain to see."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from semtel_dagster import tables
from semtel_dagster.cascade.training import Examples
from semtel_dagster.reducers import CascadeSettings

LABELS = ("billing", "cooking", "travel")
OPTIONS = CascadeSettings(classifiers=("topic",), agreement=0.9, min_examples=50)


def name(number):
    return hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()


def clouds(rows, *, dimensions=8, spread=0.7, noise=0.0, seed=0):
    """Vectors around one centre per label, and the labels; some of these are told wrong."""
    rng = np.random.default_rng(seed)
    centres = 2 * np.eye(dimensions)[: len(LABELS)]
    truth = rng.integers(len(LABELS), size=rows)
    vectors = (centres[truth] + spread * rng.normal(size=(rows, dimensions))).astype(np.float32)
    told = np.where(rng.random(rows) < noise, rng.integers(len(LABELS), size=rows), truth)
    return vectors, [LABELS[at] for at in told]


def examples(rows=2000, *, honest=None, whole=None, **how):
    """Rows that a teacher labelled, as `train` takes them."""
    vectors, labels = clouds(rows, **how)
    return Examples(
        content_hashes=tuple(name(number) for number in range(rows)),
        vectors=vectors,
        taught=tuple((label,) for label in labels),
        honest=np.ones(rows, dtype=bool) if honest is None else honest,
        whole=np.ones(rows, dtype=bool) if whole is None else whole,
        embedding="clouds",
    )


def responses(hashes, **values):
    """Rows of RESPONSES for these conversations, with the same values each."""
    given = {"content_hash": hashes} | {key: [value] * len(hashes) for key, value in values.items()}
    arrays = [pa.array(given.get(field.name, [None] * len(hashes)), field.type) for field in tables.RESPONSES]
    return pa.RecordBatch.from_arrays(arrays, schema=tables.RESPONSES)


def ask_model(batches):
    """A row function that answers everything it is given."""
    for batch in batches:
        yield responses(batch.column("content_hash").to_pylist(), endpoint="model")

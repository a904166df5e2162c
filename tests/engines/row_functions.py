"""Row functions that tasks import by name, as they do those of the stages."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pyarrow as pa

UTC = dt.UTC
EVERYTHING = pa.schema(
    [
        pa.field("id", pa.large_string(), nullable=False),
        ("at", pa.timestamp("us", tz="UTC")),
        ("local", pa.timestamp("us")),
        ("day", pa.date32()),
        ("small", pa.int32()),
        ("big", pa.int64()),
        ("ratio", pa.float64()),
        ("single", pa.float32()),
        ("flag", pa.bool_()),
        ("words", pa.large_list(pa.large_string())),
        ("messages", pa.large_list(pa.struct([("role", pa.large_string()), ("content", pa.large_string())]))),
        ("embedding", pa.list_(pa.float32(), 3)),
    ]
)
FULL = {
    "id": "a",
    "at": dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
    "local": dt.datetime(2026, 3, 29, 2, 30, 0, 1),
    "day": dt.date(2026, 11, 9),
    "small": -(2**31),
    "big": 2**63 - 1,
    "ratio": 0.1 + 0.2,
    "single": 0.5,
    "flag": True,
    "words": ["", "é\u2028\u0000", None],
    "messages": [{"role": "user", "content": "Hi \U0001f600"}, {"role": None, "content": None}],
    "embedding": [1.0, -0.0, 3.5],
}
NULLS = dict.fromkeys(FULL) | {"id": "b"}
EMPTY = FULL | {"id": "c", "words": [], "messages": []}
ROWS = [FULL, NULLS, EMPTY]


def everything(rows: list[dict[str, object]] = ROWS) -> pa.RecordBatch:
    """A batch with a column of every type that the tables use."""
    return pa.RecordBatch.from_pylist(rows, schema=EVERYTHING)


@dataclass(frozen=True)
class Generate:
    """Gives a batch of each of some rows; then one without rows."""

    rows: tuple[int, ...] = (0, 1, 2)

    def __call__(self) -> Iterator[pa.RecordBatch]:
        for index in self.rows:
            yield everything([ROWS[index]])
        yield everything([])


@dataclass(frozen=True)
class Numbers:
    """Numbers from 0, many to a batch."""

    count: int
    schema = pa.schema([("number", pa.int64()), ("name", pa.large_string())])

    def __call__(self) -> Iterator[pa.RecordBatch]:
        for start in range(0, self.count, 1000):
            numbers = range(start, min(self.count, start + 1000))
            names = [f"n{number * 7919 % 10007:05}" for number in numbers]
            yield pa.record_batch(
                [pa.array(numbers, pa.int64()), pa.array(names, pa.large_string())], schema=self.schema
            )


SEEN = pa.schema([("id", pa.large_string()), ("schema", pa.large_string())])


def tell_schema(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The schema that each row was seen in."""
    for batch in batches:
        seen = "; ".join(f"{field.name}: {field.type} {field.nullable}" for field in batch.schema)
        yield pa.record_batch([batch.column("id"), pa.array([seen] * batch.num_rows, pa.large_string())], schema=SEEN)


def unchanged(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows, under the strict schema."""
    for batch in batches:
        yield pa.RecordBatch.from_arrays(batch.columns, schema=EVERYTHING)


def too_narrow(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Breaks the promise of `SEEN`: the second column is a number."""
    for batch in batches:
        yield pa.record_batch({"id": batch.column("id"), "schema": pa.array([1] * batch.num_rows)})


@dataclass(frozen=True)
class CountRows:
    """Leaves a file in a folder for every batch, named after its rows."""

    folder: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            (Path(self.folder) / f"{batch.num_rows}-{uuid.uuid4().hex}").touch()
            yield batch


RUNS = pa.schema([("name", pa.large_string()), ("rows", pa.int64()), ("sorted", pa.bool_())])


def runs_of_names(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """How many rows of one name came one after the other, and whether by number."""
    pairs = (pair for batch in batches for pair in zip(*(batch.column(at).to_pylist() for at in (1, 0)), strict=True))
    for name, run in groupby(pairs, key=itemgetter(0)):
        numbers = [number for _, number in run]
        yield pa.RecordBatch.from_pylist(
            [{"name": name, "rows": len(numbers), "sorted": numbers == sorted(numbers)}], schema=RUNS
        )


@dataclass(frozen=True)
class CountTasks:
    """Leaves a file in a folder for every task that has rows."""

    folder: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        marked = False
        for batch in batches:
            if batch.num_rows and not marked:
                (Path(self.folder) / f"task-{uuid.uuid4().hex}").touch()
                marked = True
            yield pa.RecordBatch.from_arrays(batch.columns[:2], schema=Numbers.schema)

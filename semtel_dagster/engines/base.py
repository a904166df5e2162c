"""The narrow protocol between the stages and the engine that runs them.

A frame is a Narwhals LazyFrame over a Polars LazyFrame or a Spark DataFrame. Frame logic is written once with
Narwhals; row logic that needs Python is an `ArrowFunction`, which every engine can run over a frame's batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import narwhals as nw
import pyarrow as pa

if TYPE_CHECKING:
    Frame: TypeAlias = nw.LazyFrame[Any]
else:
    Frame = nw.LazyFrame  # Dagster reads annotations and wants a plain class
ArrowFunction: TypeAlias = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
Generator: TypeAlias = Callable[[], Iterator[pa.RecordBatch]]


def count_rows(frame: Frame) -> int:
    """The number of a frame's rows, counted by the engine."""
    return int(frame.select(nw.len()).collect(backend="pyarrow").item())


class Engine(Protocol):
    """Runs stages on frames.

    An `ArrowFunction` must be picklable (a module-level function or a frozen dataclass with `__call__`), must
    not depend on how rows are batched, and sees and returns batches whose strings are `large_string`.
    """

    @property
    def name(self) -> str:
        """The engine's name in the settings: "polars" or "spark"."""
        ...

    @property
    def distributed(self) -> bool:
        """Whether rows lie in other processes: what grows with them must not come into this one."""
        ...

    @property
    def tasks(self) -> int:
        """How many tasks run a row function at the same time, each in a process of its own; 1 where this one does."""
        ...

    def map_batches(self, frame: Frame, function: ArrowFunction, schema: pa.Schema) -> Frame:
        """Applies a function to a frame's batches, lazily; the result has exactly `schema`."""
        ...

    def from_batches(self, function: Generator, schema: pa.Schema) -> Frame:
        """A frame whose rows a generator makes, e.g. a reader of source files."""
        ...

    def from_parts(self, functions: Sequence[Generator], schema: pa.Schema) -> Frame:
        """A frame whose rows generators make, each in a task of its own, e.g. readers of one source file each."""
        ...

    def spread(self, frame: Frame, key: str, *, order: Sequence[str] = ()) -> Frame:
        """The same rows, spread by the values of a column over all tasks, whatever the files they come from.

        Rows of one key are in one task. With `order` they follow one another there, sorted by key and these columns,
        so that the next row function meets a key's rows together (maybe in several batches).
        """
        ...

    def match(self, frame: Frame, few: Frame, on: Sequence[str]) -> Frame:
        """The rows of a large frame that have a partner in a small one, with its columns; only the small one is held.

        Args:
            frame: Rows that may hold texts.
            few: Rows without texts; `on` is unique there.
            on: The columns that partners have in common.
        """
        ...

    def sort_by_hash(self, frame: Frame, key: str) -> Frame:
        """The same rows in ascending order of a column of hexadecimal hashes, without holding them in memory."""
        ...

    def from_arrow(self, table: pa.Table) -> Frame:
        """A frame over a small table in memory."""
        ...

    def scan(self, folders: list[str]) -> Frame:
        """A frame over dataset folders of Parquet parts, whichever engine wrote them; with partition columns."""
        ...

    def write(self, frame: Frame, folder: str) -> None:
        """Writes a frame as zstd Parquet parts into an empty local folder, without holding it in memory."""
        ...

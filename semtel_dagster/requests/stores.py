"""Where answers are looked up before a call and kept after it, as the row function sees it.

Belongs here: the narrow protocol. A classifier's own journal is `journal`; one that keeps the answers of a call about
several conversations or classifiers apart is in `packing`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class Writer(Protocol):
    """Keeps answers; `write` and `sync` may be called from different threads."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes a batch of RESPONSES: from now on it outlives this process.

        Raises:
            OSError: It cannot be written.
        """
        ...

    def sync(self) -> None:
        """Waits until everything written so far is on the disk.

        Raises:
            OSError: The disk failed.
        """
        ...

    def close(self) -> None:
        """Lets the files go."""
        ...


class Store(Protocol):
    """Answers by the hash of what was asked about."""

    def find(self, content_hashes: pa.Array, models: Iterable[str]) -> npt.NDArray[np.int64]:
        """Where each hash's answer by one of the models lies: a position for `read`, or -1 where there is none."""
        ...

    def read(self, positions: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """The answers at these positions, in their order, as rows that made no call."""
        ...

    def writer(self) -> Writer:
        """A writer of its own."""
        ...

    def close(self) -> None:
        """Closes the files."""
        ...

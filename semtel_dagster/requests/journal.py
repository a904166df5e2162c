"""The journal: every final answer once, checkpoint and cache in one.

Belongs here: looking answers up by text and model, what is missing, compaction. The files' format belongs in `parts`.

Layout: `<journal>/<classifier>/<prompt fingerprint>/*.part`. Any number of processes may write, each to parts of its
own, while others read. A failure that would recur is kept as an answer is; what failed for want of an endpoint is
not, so a later run asks again.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from semtel_dagster import tables
from semtel_dagster.requests.parts import (
    Frame,
    PartReader,
    PartWriter,
    is_being_written,
    open_parts,
    parts_in,
)

logger = logging.getLogger(__name__)

COMPACT_ABOVE = 16
_DECODED_FRAMES = 16
_HASH, _MODEL = (tables.RESPONSES.get_field_index(name) for name in ("content_hash", "model"))
_KEY = np.dtype([("high", ">u8"), ("low", ">u8")])

Keys = npt.NDArray[np.void]


class Journal:
    """The answers of one classifier's prompt, as they were when the journal was opened.

    In memory it holds 32 bytes per answer, sorted by hash; answers are read from the parts when they are asked for.

    Attributes:
        torn_bytes: Bytes at the ends of parts that a crash left unreadable.
    """

    def __init__(self, folder: str | Path, classifier: str, fingerprint: str) -> None:
        """Opens the parts and builds the index; a folder that does not exist is an empty journal."""
        self.folder = Path(folder) / classifier / fingerprint
        self._parts = open_parts(self.folder)
        self._models: dict[str, int] = {}
        self._frames: list[tuple[PartReader, Frame]] = [(part, frame) for part in self._parts for frame in part.frames]
        self._decoded: OrderedDict[int, pa.RecordBatch] = OrderedDict()
        self.torn_bytes = sum(part.torn for part in self._parts)
        if self.torn_bytes:
            logger.warning(
                "journal %s/%s: %d bytes at the end of %d part(s) are torn and are asked again",
                classifier, fingerprint, self.torn_bytes, sum(1 for part in self._parts if part.torn),
            )  # fmt: skip
        self._build_index()

    def __len__(self) -> int:
        return len(self._high)

    @property
    def models(self) -> tuple[str, ...]:
        """The models that have answered."""
        return tuple(self._models)

    def writer(self) -> PartWriter:
        """A writer with a part of its own."""
        return PartWriter(self.folder)

    def find(self, content_hashes: pa.Array, models: Iterable[str]) -> npt.NDArray[np.int64]:
        """Where each hash's answer by one of the models lies: a position for `read`, or -1 where there is none."""
        wanted = {code for name, code in self._models.items() if name in set(models)}
        found = np.full(len(content_hashes), -1, dtype=np.int64)
        if not len(self._high) or not wanted:
            return found
        keys = _keys(content_hashes)
        high, low = keys["high"].astype(np.uint64), keys["low"].astype(np.uint64)
        left = np.searchsorted(self._high, high, "left")
        right = np.searchsorted(self._high, high, "right")
        for row in np.flatnonzero(right > left):
            for at in range(left[row], right[row]):
                if self._low[at] == low[row] and int(self._model[at]) in wanted:
                    found[row] = self._where[at]
                    break
        return found

    def read(self, positions: npt.NDArray[np.int64], *, as_made: bool = False) -> pa.RecordBatch:
        """The answers at these positions, in their order, as rows that made no call; `as_made`: with their calls."""
        pieces: list[pa.Table] = []
        order: list[npt.NDArray[np.int64]] = []
        frames = positions >> 32
        for frame in np.unique(frames):
            at = np.flatnonzero(frames == frame)
            rows = pa.array(positions[at] & 0xFFFFFFFF)
            pieces.append(pa.Table.from_batches([self._frame(int(frame)).take(rows)]))
            order.append(at)
        if not pieces:
            return _empty()
        table = pa.concat_tables(pieces).take(pa.array(np.argsort(np.concatenate(order))))
        batch = table.combine_chunks().to_batches()[0]
        return batch if as_made else _without_calls(batch)

    def lookup(self, content_hashes: pa.Array, models: Iterable[str]) -> pa.RecordBatch:
        """The answers that are there, as rows of RESPONSES with `from_journal` set and no attempts."""
        found = self.find(content_hashes, models)
        return self.read(found[found >= 0])

    def count_missing(self, content_hashes: pa.Array, models: Iterable[str]) -> int:
        """How many of these hashes a run would ask."""
        return int((self.find(content_hashes, models) < 0).sum())

    def close(self) -> None:
        """Closes the parts' files."""
        for part in self._parts:
            part.close()
        self._parts, self._frames = [], []

    def _frame(self, number: int) -> pa.RecordBatch:
        batch = self._decoded.pop(number, None)
        if batch is None:
            part, frame = self._frames[number]
            batch = part.read(frame)
            if len(self._decoded) >= _DECODED_FRAMES:
                self._decoded.popitem(last=False)
        self._decoded[number] = batch
        return batch

    def _build_index(self) -> None:
        """Sorted by hash, the newest answer of a (hash, model) first."""
        count = sum(frame.rows for _, frame in self._frames)
        keys = np.empty(count, dtype=_KEY)
        model = np.empty(count, dtype=np.uint16)
        where = np.empty(count, dtype=np.int64)
        at = 0
        for number, (part, frame) in enumerate(self._frames):
            batch = part.read(frame, [_HASH, _MODEL])
            rows = slice(at, at + frame.rows)
            keys[rows] = _keys(batch.column(0))
            model[rows] = [
                self._models.setdefault(name or "", len(self._models)) for name in batch.column(1).to_pylist()
            ]
            where[rows] = (number << 32) + np.arange(frame.rows)
            at += frame.rows
        order = np.lexsort((-where, model, keys["low"], keys["high"]))
        high, low, model = keys["high"][order].astype(np.uint64), keys["low"][order].astype(np.uint64), model[order]
        first = np.ones(count, dtype=bool)
        first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1]) | (model[1:] != model[:-1])
        self._high, self._low, self._model, self._where = high[first], low[first], model[first], where[order][first]


def compact(folder: str | Path, classifier: str, fingerprint: str) -> int:
    """Merges the parts that nobody writes into one, each answer once; crashes at any moment lose nothing.

    Returns:
        How many parts were merged; 0 when there are few, or another process is at it.
    """
    place = Path(folder) / classifier / fingerprint
    idle = [path for path in parts_in(place) if not is_being_written(path)]
    if len(idle) <= COMPACT_ABOVE:
        return 0
    lock = os.open(place / ".compacting", os.O_CREAT | os.O_WRONLY, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _merge(folder, classifier, fingerprint, [path for path in idle if path.exists()])
    except BlockingIOError:
        return 0
    finally:
        os.close(lock)


def _merge(folder: str | Path, classifier: str, fingerprint: str, idle: Sequence[Path]) -> int:
    journal = Journal(folder, classifier, fingerprint)
    names = {path.name for path in idle}
    writer = journal.writer()
    try:
        for number, (part, frame) in enumerate(journal._frames):
            if part.name not in names:
                continue
            rows = np.sort(journal._where[journal._where >> 32 == number] & 0xFFFFFFFF)
            if len(rows):
                writer.write(part.read(frame).take(pa.array(rows)))
        writer.sync()
        for path in idle:
            path.unlink(missing_ok=True)
    except OSError:
        if writer.path is not None:
            writer.path.unlink(missing_ok=True)
        raise
    finally:
        writer.close()
        journal.close()
    return len(idle)


def _keys(content_hashes: pa.Array) -> Keys:
    """Hashes as 16-byte keys; a hash that is not 32 hex digits is hashed to one."""
    texts = content_hashes.to_pylist()
    try:
        joined = bytes.fromhex("".join(texts))
        if len(joined) == 16 * len(texts) and all(len(text) == 32 for text in texts):
            return np.frombuffer(joined, dtype=_KEY)
    except ValueError:
        pass
    digests = [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
    return np.frombuffer(b"".join(digests), dtype=_KEY)


def _without_calls(batch: pa.RecordBatch) -> pa.RecordBatch:
    rows = batch.num_rows
    none = pa.array(np.zeros(rows, dtype=np.int32))
    for name, values in (("attempts", none), ("refusals", none), ("from_journal", pa.array([True] * rows, pa.bool_()))):
        batch = batch.set_column(tables.RESPONSES.get_field_index(name), name, values)
    return batch


def _empty() -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in tables.RESPONSES], schema=tables.RESPONSES)

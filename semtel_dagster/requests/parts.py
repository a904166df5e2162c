"""The journal's files: append-only parts of framed Arrow batches.

Belongs here: the format of a part, appending durably, reading what is whole. Which answers count belongs in
`journal`.

A part begins with a magic line that names the format's version. Then come frames: a header (marker, length and CRC-32
of the payload, rows) and the payload, an Arrow stream of one zstd-compressed batch of RESPONSES. A frame that was cut
by a crash fails its length or its checksum; what came before it is whole.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

MAGIC = b"semtel journal 1\n"
SUFFIX = ".part"
_HEADER = struct.Struct("<4sIII")
_MARK = b"smtl"
_WRITE = pa.ipc.IpcWriteOptions(compression="zstd")


@dataclass(frozen=True)
class Frame:
    """Where a whole frame's payload lies in its part."""

    offset: int
    length: int
    rows: int


class PartWriter:
    """Appends frames to a part of its own; a lock on the file tells others that it is being written."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder; the part itself is made with the first frame, so that idle writers leave none."""
        self._folder = folder
        self._file: int | None = None
        self.path: Path | None = None

    def append(self, batch: pa.RecordBatch) -> None:
        """Writes a frame and waits until it is on the disk.

        Raises:
            OSError: The disk is full or the folder cannot be written.
        """
        self.write(batch)
        self.sync()

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes a frame: from now on it outlives this process, after `sync` the machine too.

        A frame that does not fit is taken back, so that what is written later can be read.

        Raises:
            OSError: The disk is full or the folder cannot be written.
        """
        payload = _serialize(batch)
        header = _HEADER.pack(_MARK, len(payload), zlib.crc32(payload), batch.num_rows)
        if self._file is None:
            self._file = self._create()
        whole = os.fstat(self._file).st_size
        try:
            _write_all(self._file, header + payload if whole else MAGIC + header + payload)
        except OSError as error:
            os.ftruncate(self._file, whole)
            told = f"{error.strerror}; the answers so far are kept: make room for more, then run again"
            raise OSError(error.errno, told, str(self.path)) from None

    def sync(self) -> None:
        """Waits until everything written is on the disk; may be called from another thread than `write`."""
        if self._file is not None:
            os.fsync(self._file)

    def close(self) -> None:
        """Lets the part go."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _create(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(6)}{SUFFIX}"
        self.path = self._folder / name
        # Locked before it has a part's name: a compaction must never see it without a writer.
        unnamed = self._folder / f".{name}.new"
        file = os.open(unnamed, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o644)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unnamed.rename(self.path)
        sync_folder(self._folder)
        return file


class PartReader:
    """Reads a part that may still be written, or be removed by a compaction: its file stays open."""

    def __init__(self, path: Path) -> None:
        """Opens the part and finds its whole frames.

        Raises:
            FileNotFoundError: A compaction removed it in the meantime.
        """
        self.name = path.name
        self._file = os.open(path, os.O_RDONLY)
        self.torn = 0
        self.frames: list[Frame] = []
        self._payloads_checked = self._find_frames()

    def read(self, frame: Frame, columns: list[int] | None = None) -> pa.RecordBatch:
        """A frame's rows, or some of its columns (by position in RESPONSES)."""
        payload = os.pread(self._file, frame.length, frame.offset)
        options = pa.ipc.IpcReadOptions(included_fields=columns)
        with pa.ipc.open_stream(pa.py_buffer(payload), options=options) as reader:
            return reader.read_next_batch()

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)

    def _find_frames(self) -> int:
        """Walks the headers and checks every payload; sets `torn` to the bytes that belong to no whole frame."""
        size = os.fstat(self._file).st_size
        if os.pread(self._file, len(MAGIC), 0) != MAGIC:
            self.torn = size
            return 0
        at = len(MAGIC)
        while at + _HEADER.size <= size:
            mark, length, checksum, rows = _HEADER.unpack(os.pread(self._file, _HEADER.size, at))
            start = at + _HEADER.size
            if mark != _MARK or start + length > size:
                break
            if zlib.crc32(os.pread(self._file, length, start)) == checksum:
                self.frames.append(Frame(start, length, rows))
            else:
                self.torn += length
            at = start + length
        self.torn += size - at
        return len(self.frames)


def parts_in(folder: Path) -> list[Path]:
    """The folder's parts, by name."""
    return sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []


def open_parts(folder: Path) -> list[PartReader]:
    """Readers of all the folder's parts, by name.

    Where one vanishes meanwhile a newer one holds its answers, which the first look may not have seen: look again.
    """
    opened: dict[str, PartReader] = {}
    complete = False
    while not complete:
        complete = True
        for path in parts_in(folder):
            try:
                opened[path.name] = opened.get(path.name) or PartReader(path)
            except FileNotFoundError:
                complete = False
    return [opened[name] for name in sorted(opened)]


def is_being_written(path: Path) -> bool:
    """Whether a live process holds the part."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def sync_folder(folder: Path) -> None:
    """Makes a new or renamed name in the folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _serialize(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=_WRITE) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())

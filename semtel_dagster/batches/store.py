"""Where batches are kept: a folder each, beside the journal, every change atomic.

`<storage>/batches/<name>/` holds `batch.json` (the state), `requests.parquet` (content_hash, tokens; after its end only
those that it left unanswered) and `input.jsonl` until the provider has created the batch. Moving a batch on belongs in
`tending`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from semtel_dagster.batches.batch import Batch
from semtel_dagster.errors import SemtelError
from semtel_dagster.requests.parts import sync_folder

FOLDER = "batches"
STATE, REQUESTS, INPUT, LOCKS = "batch.json", "requests.parquet", "input.jsonl", ".locks"
REQUESTED = pa.schema([("content_hash", pa.large_string()), ("tokens", pa.int64())])


class Store:
    """The batches of a storage; any number of processes may use it at the same time."""

    def __init__(self, folder: str | Path) -> None:
        """Makes nothing; a folder that is not there holds no batch."""
        self.folder = Path(folder)

    @classmethod
    def beside(cls, journal: str | Path) -> Store:
        """The batches that fill a journal."""
        path = Path(journal)
        return cls(path.parent / FOLDER if path.name == "journal" else path / f".{FOLDER}")

    def all(self) -> list[Batch]:
        """Every batch, the oldest first.

        Raises:
            SemtelError: A state file is no longer what this version writes.
        """
        found = [self._read(path) for path in self.folder.glob(f"*/{STATE}") if not path.parent.name.startswith(".")]
        return sorted((batch for batch in found if batch), key=lambda batch: (batch.made_at, batch.name))

    def open(self) -> list[Batch]:
        """The batches that conversations wait for."""
        return [batch for batch in self.all() if batch.is_open]

    def get(self, name: str) -> Batch | None:
        """A batch as it is now."""
        return self._read(self.folder / name / STATE)

    def of(self, classifier: str, fingerprint: str) -> list[Batch]:
        """All batches of one prompt."""
        return [batch for batch in self.all() if (batch.classifier, batch.fingerprint) == (classifier, fingerprint)]

    def waiting(self, classifier: str, fingerprint: str) -> set[str]:
        """The content hashes that wait for an open batch of a prompt."""
        return self._hashes(batch for batch in self.of(classifier, fingerprint) if batch.is_open)

    def tried(self, classifier: str, fingerprint: str, times: int) -> set[str]:
        """The content hashes that so many batches of a prompt have left unanswered."""
        counts: dict[str, int] = {}
        for batch in self.of(classifier, fingerprint):
            if batch.counts_as_a_try and batch.released:
                for content_hash in self.requested(batch.name)["content_hash"].to_pylist():
                    counts[content_hash] = counts.get(content_hash, 0) + 1
        return {content_hash for content_hash, count in counts.items() if count >= times}

    def requested(self, name: str) -> pa.Table:
        """What a batch asks (REQUESTED), after its end what it left unanswered."""
        path = self.folder / name / REQUESTS
        return pq.read_table(path, schema=REQUESTED) if path.exists() else REQUESTED.empty_table()

    def input(self, name: str) -> Path:
        """A batch's file while it is not created yet."""
        return self.folder / name / INPUT

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A folder to write a batch's file into; it is removed unless `add` took it."""
        staging = self.folder / f".{name}"
        staging.mkdir(parents=True)
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def add(self, batch: Batch, requested: pa.Table, staging: Path) -> None:
        """Takes a written file in: from now on its conversations wait."""
        pq.write_table(requested.cast(REQUESTED), staging / REQUESTS, compression="zstd")
        _write(staging / STATE, batch.model_dump_json(indent=1).encode())
        for name in (REQUESTS, INPUT):
            _sync(staging / name)
        staging.rename(self.folder / batch.name)
        sync_folder(self.folder)

    def save(self, batch: Batch) -> Batch:
        """Replaces a batch's state; its file is removed once the provider has it."""
        _write(self.folder / batch.name / STATE, batch.model_dump_json(indent=1).encode())
        if batch.status in {"created", "ended"}:
            self.input(batch.name).unlink(missing_ok=True)
        return batch

    def end(self, batch: Batch, released: pa.Table) -> Batch:
        """Ends a batch: `released` (REQUESTED) is what it left unanswered."""
        path = self.folder / batch.name / REQUESTS
        fresh = path.with_suffix(".new")
        pq.write_table(released.cast(REQUESTED), fresh, compression="zstd")
        _sync(fresh)
        # The state first: requests that are gone while the batch is open would neither wait nor be asked.
        saved = self.save(batch.model_copy(update={"status": "ended", "released": released.num_rows}))
        fresh.replace(path)
        return saved

    @contextmanager
    def lock(self, name: str, *, wait: bool = False) -> Iterator[bool]:
        """Holds a batch (or any other name) for this process; yields whether it could be had."""
        (self.folder / LOCKS).mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / LOCKS / name, os.O_CREAT | os.O_WRONLY, 0o644)
        try:
            yield _locked(handle, wait=wait)
        finally:
            os.close(handle)

    def sweep(self, older_than_s: float = 86_400.0) -> None:
        """Removes what writers left that a crash stopped."""
        for path in self.folder.glob(".semtel-*"):
            if time.time() - path.stat().st_mtime > older_than_s:
                shutil.rmtree(path, ignore_errors=True)

    def _hashes(self, batches: Iterable[Batch]) -> set[str]:
        return {value for batch in batches for value in self.requested(batch.name)["content_hash"].to_pylist()}

    def _read(self, path: Path) -> Batch | None:
        try:
            return Batch.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise SemtelError(
                f"{path} is not a batch's state as this version writes it ({error.error_count()} faults); move its "
                "folder away to ask its conversations anew"
            ) from None


def _locked(handle: int, *, wait: bool) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    _sync(temporary)
    temporary.replace(path)
    sync_folder(path.parent)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())

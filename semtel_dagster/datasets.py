"""The one dataset layout: where a table's partition lies, and how a folder is replaced whole or not at all.

`<storage>/<asset>/week=<date>[/classifier=<name>]/part-*.parquet`. What is in the tables is said in `tables.py`;
who writes them, in `io.py`.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WRITING = ".writing"
JOURNAL = "journal"
WAREHOUSE = "semtel.duckdb"


def partition_folder(storage: str, asset: str, week: str, classifier: str | None = None) -> Path:
    """The folder of a table's partition."""
    folder = Path(storage) / asset / f"week={week}"
    return folder / f"classifier={classifier}" if classifier else folder


@contextmanager
def replaced_folder(folder: Path, storage: Path) -> Iterator[Path]:
    """Yields an empty folder to write into; on success it takes the place of `folder` in one step.

    Until then readers see the old content; after a crash they still do. What was written is synced to disk
    before it is moved. Leftovers of crashed writers lie under `<storage>/.writing` and harm nobody.
    """
    staging = storage / WRITING / f"{folder.parent.name}-{folder.name}-{uuid.uuid4().hex}"
    staging.mkdir(parents=True)
    try:
        yield staging
        _sync(staging)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            _exchange(staging, folder)
        else:
            staging.rename(folder)
        _sync_folder(folder.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _exchange(new: Path, old: Path) -> None:
    """Swaps two folders; atomically where the system can (Linux), else with a short gap between two renames."""
    if sys.platform == "linux":
        at_fdcwd, exchange = -100, 2
        renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        if renameat2 and renameat2(at_fdcwd, os.fsencode(new), at_fdcwd, os.fsencode(old), exchange) == 0:
            return
    aside = new.with_name(new.name + "-old")
    old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside, ignore_errors=True)


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

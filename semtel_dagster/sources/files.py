"""Which files a source's path means, and opening them: local paths, globs, folders and object-store URLs.

Rules: a folder stands for the files under it whose ending is known and whose name starts with neither `.` nor
`_`; a glob or a path stands for just what it names. Reading what is inside belongs in the reader modules.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import fsspec  # type: ignore[import-untyped]
import pyarrow as pa

from semtel_dagster.errors import DependencyError, SourceError

KINDS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
}
COMPRESSIONS = (".gz", ".zst")


@dataclass(frozen=True)
class SourceFile:
    """A file, or a Delta table, that conversations are read from.

    Attributes:
        url: Where it is, with its protocol unless it is local.
        kind: parquet, jsonl, json, csv, delta, or unknown.
        groups: Of a Parquet file only these row groups, from and until (excluded); None: all.
    """

    url: str
    kind: str
    groups: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """The name without folders."""
        return self.url.rstrip("/").rsplit("/", 1)[-1]

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Opens the file's bytes, decompressed by its ending, and closes them."""
        files, path = _filesystem(self.url)
        with ExitStack() as opened:
            raw = opened.enter_context(files.open(path, "rb"))
            if self.url.endswith(".gz"):
                yield cast(IO[bytes], opened.enter_context(gzip.open(raw)))
            elif self.url.endswith(".zst"):
                # Arrow's reader, unlike zstandard's, says so when the stream is cut off.
                frames = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
                yield opened.enter_context(io.BufferedReader(frames))
            else:
                yield raw


def find_files(path: str) -> list[SourceFile]:
    """The files that a path, a glob, a folder or a URL stands for, by name.

    Raises:
        SourceError: It stands for nothing; the message says what was looked for, and where.
        DependencyError: The URL's protocol needs a package that is not installed.
    """
    files, pattern = _filesystem(path)
    if files.isdir(pattern):
        found = _in_folder(files, pattern)
    elif files.isfile(pattern):
        found = [pattern]
    else:
        found = [match for match in files.glob(pattern) if files.isfile(match) or _is_delta(files, match)]
    if not found:
        raise SourceError(_explain_nothing(path))
    local = "://" not in path or path.startswith("file://")
    return [
        SourceFile(item if local else files.unstrip_protocol(item), "delta" if _is_delta(files, item) else _kind(item))
        for item in sorted(found)
    ]


def _filesystem(url: str) -> tuple[Any, str]:
    try:
        files, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise DependencyError(f"{url.split('://')[0]}:// needs a package that is not installed: {error}") from None
    except ValueError as error:
        raise SourceError(f"source.path {url!r} has no known protocol: {error}") from None
    files.invalidate_cache()
    return files, path


def _in_folder(files: Any, folder: str) -> list[str]:
    if _is_delta(files, folder):
        return [folder]
    inside = {item: item[len(folder) :].strip("/").split("/") for item in files.find(folder)}
    shown = [item for item, parts in inside.items() if not any(part.startswith((".", "_")) for part in parts)]
    return [item for item in shown if _kind(item) != "unknown"]


def _is_delta(files: Any, path: str) -> bool:
    return bool(files.isdir(f"{path.rstrip('/')}/_delta_log"))


def _kind(path: str) -> str:
    name = path.lower()
    for compression in COMPRESSIONS:
        if name.endswith(compression) and KINDS.get(Path(name.removesuffix(compression)).suffix) in (None, "parquet"):
            return "unknown"
        name = name.removesuffix(compression)
    return KINDS.get(Path(name).suffix, "unknown")


def _explain_nothing(path: str) -> str:
    if "://" in path and not path.startswith("file://"):
        return f"source.path {path!r} matches nothing; check the address and that its credentials may list it"
    wanted = Path(path.removeprefix("file://"))
    nearest = next(folder for folder in (wanted, *wanted.absolute().parents) if folder.is_dir())
    return (
        f"source.path {path!r} matches no file; working folder {Path.cwd()}, nearest existing folder {nearest}; "
        f"name a file, a folder or a glob with the ending {', '.join(KINDS)} (text also .gz, .zst), or a Delta table"
    )

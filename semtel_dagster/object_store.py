"""The storage's copy in an object store: partitions and files that readers see whole or not at all.

Work goes on in a local folder; what it finishes is published here, and what other machines published is fetched from
here. Objects cannot be renamed, so a partition's parts are put under new names, and one small object, the manifest,
put last, says which names count: `<url>/<asset>/week=<date>[/classifier=<name>]/{_manifest.json,part-*.parquet}`.
Which tables are published is said where they are written (`io`, `assets/report.py`).
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]

from semtel_dagster.datasets import replaced_folder
from semtel_dagster.errors import DependencyError, SettingsError
from semtel_dagster.settings import Settings

MANIFEST = "_manifest.json"
GENERATION = ".generation"  # beside the parts in the local folder: which manifest they are from
LEFTOVER_AGE = dt.timedelta(hours=1)
TRIES = 5
PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "abfss": "adlfs", "az": "adlfs"}


@dataclass(frozen=True)
class ObjectStore:
    """Partitions and files under a URL that fsspec knows: s3://, gs://, abfs://, memory://.

    The store must replace an object in one step, as S3, GCS and Azure do. Credentials come from the environment, as
    the protocol's package reads them.

    Attributes:
        url: Where the tables' folders are.
    """

    url: str

    @classmethod
    def of(cls, settings: Settings) -> ObjectStore | None:
        """The object store of the settings; None where the storage is only local."""
        return cls(settings.object_store) if settings.object_store else None

    def check(self) -> None:
        """Puts a small object, reads it and removes it.

        Raises:
            Exception: Whatever the protocol's package raises: no such bucket, no credentials, no network.
        """
        files, path = self._files(f".writing/check-{uuid.uuid4().hex}")
        files.pipe_file(path, b"semtel check")
        files.cat_file(path)
        files.rm_file(path)

    def publish(self, folder: Path, place: str) -> None:
        """Puts a local folder's files in the place of what was there, in one step.

        Until the manifest is put, readers find the old parts; after it, the new ones. Parts that no manifest names
        are removed: the last manifest's now, those of a writer that died by the first write an hour later.

        Args:
            folder: A partition's folder; its hidden files are left out.
            place: The partition's path under the URL.
        """
        files, root = self._files(place)
        generation = uuid.uuid4().hex
        before = self._manifest(place)
        parts = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
        objects = {path.name: f"{path.stem}-{generation}{path.suffix}" for path in parts}
        for path in parts:
            files.put_file(str(path), f"{root}/{objects[path.name]}")
        listed = [{"name": path.name, "object": objects[path.name], "bytes": path.stat().st_size} for path in parts]
        manifest = {"generation": generation, "files": listed}
        files.pipe_file(f"{root}/{MANIFEST}", json.dumps(manifest).encode())
        (folder / GENERATION).write_text(generation, encoding="utf-8")
        self._clean(place, keep={MANIFEST, *objects.values()}, old={file["object"] for file in _listed(before)})

    def fetch(self, place: str, storage: Path) -> bool:
        """Brings a partition's local folder to what is published, if it is not.

        Args:
            place: The partition's path under the URL and under the storage.
            storage: The local folder of all tables.

        Returns:
            Whether anything is published there; if not, the local folder stays as it is.

        Raises:
            OSError: The parts went away again and again while they were read.
        """
        folder = storage / place
        for attempt in range(TRIES):
            manifest = self._manifest(place)
            if manifest is None:
                return False
            if _generation(folder) == manifest["generation"]:
                return True
            try:
                self._download(place, manifest, folder, storage)
            except FileNotFoundError:
                if attempt == TRIES - 1:
                    raise
            else:
                return True
        raise AssertionError("unreachable")

    def fetch_all(self, tables: Iterable[str], storage: Path, weeks: Sequence[str] | None = None) -> None:
        """Brings all published partitions of some tables, or those of some weeks, to the local storage."""
        for table in tables:
            files, root = self._files(table)
            found = files.find(root) if files.exists(root) else []
            places = [path.removesuffix(f"/{MANIFEST}") for path in found if path.endswith(f"/{MANIFEST}")]
            for place in (f"{table}{path.removeprefix(root)}" for path in places):
                if weeks is None or any(f"/week={week}" in place for week in weeks):
                    self.fetch(place, storage)

    def put_file(self, file: Path, place: str) -> str:
        """Puts a file in its place, aside first and then copied within the store; its URL."""
        files, target = self._files(place)
        _, aside = self._files(f".writing/{uuid.uuid4().hex}")
        files.put_file(str(file), aside)
        try:
            files.cp_file(aside, target)
        finally:
            files.rm_file(aside)
        return f"{self.url.rstrip('/')}/{place}"

    def _download(self, place: str, manifest: dict[str, Any], folder: Path, storage: Path) -> None:
        files, root = self._files(place)
        with replaced_folder(folder, storage) as staging:
            for part in _listed(manifest):
                into = staging / part["name"]
                with files.open(f"{root}/{part['object']}", "rb") as source, into.open("wb") as target:
                    shutil.copyfileobj(source, target, 2**20)
                if into.stat().st_size != part["bytes"]:
                    raise FileNotFoundError(f"{self.url}: {place}/{part['object']} is not what its manifest says")
            (staging / GENERATION).write_text(manifest["generation"], encoding="utf-8")

    def _clean(self, place: str, keep: set[str], old: set[str]) -> None:
        files, root = self._files(place)
        now = dt.datetime.now(dt.UTC)
        for path in files.find(root, maxdepth=1):
            name = path.rsplit("/", 1)[-1]
            if name not in keep and (name in old or now - _aware(files.modified(path)) > LEFTOVER_AGE):
                files.rm_file(path)

    def _manifest(self, place: str) -> dict[str, Any] | None:
        files, root = self._files(place)
        try:
            manifest: dict[str, Any] = json.loads(files.cat_file(f"{root}/{MANIFEST}"))
        except FileNotFoundError:
            return None
        return manifest

    def _files(self, place: str) -> tuple[Any, str]:
        protocol = self.url.split("://", 1)[0]
        try:
            files, path = fsspec.core.url_to_fs(f"{self.url.rstrip('/')}/{place}")
        except ImportError:
            package = PACKAGES.get(protocol, "fsspec's package for it")
            raise DependencyError(
                f"storage {protocol}:// needs a package that is missing; pip install {package}"
            ) from None
        except ValueError as error:
            raise SettingsError(f"storage {self.url!r}: {error}; write a path, or s3://, gs://, abfs://") from None
        files.invalidate_cache()
        return files, path


def _listed(manifest: dict[str, Any] | None) -> list[dict[str, Any]]:
    return list(manifest["files"]) if manifest else []


def _generation(folder: Path) -> str | None:
    try:
        return (folder / GENERATION).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)

"""What a set of conversations is, and how it was prepared, as short texts to compare.

Identities of prompts and parsers belong to their rooms.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from semtel_dagster.reducers import BY_SENTENCE
from semtel_dagster.settings import Settings


def data_fingerprint(content_hashes: Iterable[str]) -> str:
    """16 hex digits over the content hashes, whatever their order."""
    digest = hashlib.blake2b(digest_size=8)
    for content_hash in sorted(content_hashes):
        digest.update(content_hash.encode())
    return digest.hexdigest()


def preparation_fingerprint(settings: Settings) -> str:
    """16 hex digits over the settings that decide which texts are asked about: sample, compress, truncate, dedupe.

    A language model that texts are shortened by counts by its bytes.
    """
    digest = hashlib.blake2b(digest_size=8)
    sections: list[BaseModel] = [settings.sample, settings.truncate, settings.dedupe]
    if settings.compress.is_on:  # else weeks that were prepared before there was this section would look changed
        sections.append(settings.compress)
    for section in sections:
        digest.update(section.model_dump_json(exclude=set(BY_SENTENCE)).encode())
    if sentences := settings.compress.sentences:
        digest.update(sentences.model_dump_json().encode())
    if perplexity := settings.compress.perplexity:  # by what the model is, not by where it lies
        digest.update(perplexity.model_dump_json(exclude={"model", "threads"}).encode())
        digest.update(file_fingerprint(perplexity.model).encode())
    return digest.hexdigest()


def file_fingerprint(path: str) -> str:
    """16 hex digits over a file's bytes, read once as long as it does not change; over nothing where there is none."""
    file = Path(path)
    if not file.is_file():
        return hashlib.blake2b(digest_size=8).hexdigest()
    found = file.stat()
    return _of_bytes(_Written(file, found.st_size, found.st_mtime_ns))


class _Written(NamedTuple):
    """A file as it was last written."""

    file: Path
    size: int
    modified_ns: int


@functools.lru_cache(maxsize=8)
def _of_bytes(written: _Written) -> str:
    with written.file.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()

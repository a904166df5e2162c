"""What a set of conversations is, and how it was prepared, as short texts to compare.

Identities of prompts and parsers belong to their rooms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from pydantic import BaseModel

from semtel_dagster.settings import Settings


def data_fingerprint(content_hashes: Iterable[str]) -> str:
    """16 hex digits over the content hashes, whatever their order."""
    digest = hashlib.blake2b(digest_size=8)
    for content_hash in sorted(content_hashes):
        digest.update(content_hash.encode())
    return digest.hexdigest()


def preparation_fingerprint(settings: Settings) -> str:
    """16 hex digits over the settings that decide which texts are asked about: sample, compress, truncate, dedupe."""
    digest = hashlib.blake2b(digest_size=8)
    sections: list[BaseModel] = [settings.sample, settings.truncate, settings.dedupe]
    if settings.compress.is_on:  # else weeks that were prepared before there was this section would look changed
        sections.append(settings.compress)
    for section in sections:
        digest.update(section.model_dump_json().encode())
    return digest.hexdigest()

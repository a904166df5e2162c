"""What a set of conversations is, as a short text: equal exactly when the same texts were asked about.

Identities of prompts and parsers belong to their rooms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def data_fingerprint(content_hashes: Iterable[str]) -> str:
    """16 hex digits over the content hashes, whatever their order."""
    digest = hashlib.blake2b(digest_size=8)
    for content_hash in sorted(content_hashes):
        digest.update(content_hash.encode())
    return digest.hexdigest()

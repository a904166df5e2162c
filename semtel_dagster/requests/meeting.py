"""Where the runs of a project find the others that use the same endpoint.

Belongs here: what makes two endpoints one limit. How processes find each other there belongs in `team`.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from urllib.parse import urlsplit

from semtel_dagster.requests.credentials import key_of
from semtel_dagster.requests.team import FOLDER, Team
from semtel_dagster.settings import EndpointSettings


def meeting_of(journal: str, endpoint: EndpointSettings) -> Team:
    """The team of everybody who shares a journal and this endpoint's limit.

    A provider limits an account's use of a model: so the host, the model (or deployment) and the key tell limits
    apart, and a path does not. Only a short digest of them is ever written.

    Raises:
        SettingsError: The endpoint's key is not set.
    """
    host = urlsplit(endpoint.base_url or "").netloc.lower()
    parts = host, endpoint.model or "", key_of(endpoint) or ""
    return Team(str(Path(journal) / FOLDER / blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()))

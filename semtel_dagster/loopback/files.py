"""Uploaded files and what batches leave behind: bytes under ids, as the files API keeps them.

Reading a form and keeping bytes only; what a batch does with a file belongs in `batches`, paths in `batch_paths`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_CREATED = 1_790_000_000


@dataclass(frozen=True)
class StoredFile:
    """A file of the server.

    Attributes:
        id: The server's name for it.
        filename: The client's name for it.
        purpose: "batch" or "batch_output".
        content: Its bytes.
    """

    id: str
    filename: str
    purpose: str
    content: bytes = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """The file object of the API."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": _CREATED,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
        }


class Files:
    """The server's files; the newest is listed first."""

    def __init__(self) -> None:
        self._files: dict[str, StoredFile] = {}
        self._made = 0

    def add(self, filename: str, purpose: str, content: bytes) -> StoredFile:
        """Keeps bytes under a new id."""
        self._made += 1
        stored = StoredFile(f"file-loopback{self._made}", filename, purpose, content)
        self._files[stored.id] = stored
        return stored

    def get(self, identifier: str) -> StoredFile | None:
        """The file of an id."""
        return self._files.get(identifier)

    def remove(self, identifier: str) -> bool:
        """Forgets a file; false where there is none."""
        return self._files.pop(identifier, None) is not None

    def newest_first(self, purpose: str | None) -> list[StoredFile]:
        """All files, or those of a purpose."""
        return [each for each in reversed(self._files.values()) if purpose in {None, each.purpose}]


def read_form(content_type: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    """The fields of a multipart form: by name the file's name (empty for a plain field) and its bytes.

    Raises:
        ValueError: It is no multipart form.
    """
    kind, _, rest = content_type.partition(";")
    boundary = _parameter(rest, "boundary")
    if kind.strip().lower() != "multipart/form-data" or not boundary:
        raise ValueError("a file is uploaded as multipart/form-data")
    fields: dict[str, tuple[str, bytes]] = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1"))[1:]:
        head, found, content = part.partition(b"\r\n\r\n")
        if not found:
            continue
        disposition = next(
            (line for line in head.decode("utf-8", "replace").split("\r\n") if "form-data" in line.lower()), ""
        )
        fields[_parameter(disposition, "name")] = (_parameter(disposition, "filename"), content)
    return fields


def _parameter(text: str, name: str) -> str:
    """A header's parameter, quoted or not; empty if absent."""
    for piece in text.split(";"):
        key, _, value = piece.strip().partition("=")
        if key.lower() == name:
            return value.strip('"')
    return ""

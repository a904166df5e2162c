"""What an endpoint turned out not to support, found once and remembered.

Belongs here: parameters that were refused, kept per address and model in a small file beside the journal.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

FILE = "capabilities.json"
REMEMBERED_S = 7 * 24 * 3600.0


class Capabilities:
    """The parameters one endpoint lacks.

    Servers gain abilities when they are updated, so a memory older than a week is dropped and found again, at the
    price of one refused call.

    Attributes:
        lacking: Their names. "json_schema" means that only plain JSON objects can be asked for.
    """

    def __init__(self, folder: str | Path, key: str) -> None:
        """Reads what is remembered; `key` names address and model, never a credential."""
        self._path = Path(folder) / FILE
        self._key = key
        remembered = _read(self._path).get(key, {})
        fresh = remembered.get("at", 0) > time.time() - REMEMBERED_S
        self.lacking: frozenset[str] = frozenset(remembered.get("lacking", ())) if fresh else frozenset()

    def leave_out(self, parameter: str) -> None:
        """Remembers a refused parameter: a schema first becomes a plain JSON object, then nothing."""
        if parameter == "response_format" and "json_schema" not in self.lacking:
            parameter = "json_schema"
        if not parameter or parameter in self.lacking:
            return
        self.lacking |= {parameter}
        with contextlib.suppress(OSError):
            self._write()

    def _write(self) -> None:
        everything = _read(self._path)
        everything[self._key] = {"lacking": sorted(self.lacking), "at": int(time.time())}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f".{FILE}.{os.getpid()}")
        temporary.write_text(json.dumps(everything, indent=1))
        temporary.replace(self._path)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}

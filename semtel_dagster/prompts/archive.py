"""Prompts as they once were: each compiled prompt kept as JSON, so that old answers can be understood and compared.

Belongs here: one file per fingerprint under `<storage>/prompts/<classifier>/`. What changed between two belongs in
`changes`; labels are kept as well, aliases included, so that old answers can be read again.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import orjson

from semtel_dagster.classifiers import Classifier, CompiledPrompt, PromptMessage

FOLDER = "prompts"


def keep(prompt: CompiledPrompt, storage: str) -> Path:
    """Writes a prompt once, whole or not at all; the first version under a fingerprint stays."""
    path = _path(storage, prompt.classifier.name, prompt.fingerprint)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        draft.write_bytes(orjson.dumps(_content(prompt), option=orjson.OPT_INDENT_2))
        os.replace(draft, path)
    return path


def recall(storage: str, classifier: str, fingerprint: str) -> CompiledPrompt | None:
    """The prompt that once had this fingerprint, or None where it was never kept."""
    path = _path(storage, classifier, fingerprint)
    if not path.exists():
        return None
    content = orjson.loads(path.read_bytes())
    return CompiledPrompt(
        classifier=Classifier.model_validate(content["classifier"]),
        messages=tuple(PromptMessage(*message) for message in content["messages"]),
        response_schema=content["schema"],
        options=content["options"],
        fingerprint=content["fingerprint"],
        static_tokens=content["static_tokens"],
        model=content["model"],
    )


def kept(storage: str, classifier: str) -> list[str]:
    """The fingerprints of the prompts kept for a classifier, the newest first."""
    files = Path(storage, FOLDER, classifier).glob("*.json")
    return [path.stem for path in sorted(files, key=lambda path: (-path.stat().st_mtime_ns, path.name))]


def _path(storage: str, classifier: str, fingerprint: str) -> Path:
    return Path(storage, FOLDER, classifier, f"{fingerprint}.json")


def _content(prompt: CompiledPrompt) -> dict[str, object]:
    return {
        "fingerprint": prompt.fingerprint,
        "classifier": prompt.classifier.model_dump(mode="json"),
        "messages": [[message.role, message.before, message.after] for message in prompt.messages],
        "schema": prompt.response_schema,
        "options": prompt.options,
        "model": prompt.model,
        "static_tokens": prompt.static_tokens,
    }

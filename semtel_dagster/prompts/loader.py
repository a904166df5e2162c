"""Finding Prompty files and compiling them: the one way from a folder of prompts to `CompiledPrompt`s.

Reading a file belongs in `prompty_file`, messages in `render`; nothing here knows a model or an endpoint.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from semtel_dagster.classifiers import CompiledPrompt, PromptMessage
from semtel_dagster.errors import SettingsError
from semtel_dagster.prompts import prompty_file
from semtel_dagster.prompts.fingerprint import fingerprint
from semtel_dagster.prompts.render import render_static
from semtel_dagster.prompts.schema import response_schema

SUFFIX = ".prompty"


def load_classifiers(folder: str | Path | None = None, names: Sequence[str] = ()) -> dict[str, CompiledPrompt]:
    """Compiles the Prompty files of a folder.

    Args:
        folder: Where the files are; None: the prompts that ship with the package.
        names: The classifiers wanted; empty: every file. Files that are not wanted are not opened.

    Returns:
        Classifier name (the file's name without its suffix) to prompt, sorted by name.

    Raises:
        SettingsError: No such folder, no files in it, an unknown name, or a file that is wrong.
    """
    place = Path(folder).expanduser() if folder is not None else shipped_folder()
    if not place.is_dir():
        raise SettingsError(f"prompts folder {place} does not exist; set prompts to a folder of {SUFFIX} files")
    files = {path.stem: path for path in sorted(place.glob(f"*{SUFFIX}"))}
    if not files:
        raise SettingsError(
            f"prompts folder {place} holds no {SUFFIX} file; add one, or unset prompts for the shipped ones"
        )
    unknown = sorted(set(names) - set(files))
    if unknown:
        raise SettingsError(f"unknown classifier {', '.join(unknown)}; {place} has {', '.join(files)}")
    return {name: load_classifier(files[name]) for name in sorted(set(names) or files)}


def load_classifier(path: str | Path) -> CompiledPrompt:
    """Compiles one Prompty file.

    Raises:
        SettingsError: The file is wrong; the message says what and how to mend it.
    """
    file = Path(path)
    content = prompty_file.read(file)
    messages = render_static(file, content.agent, content.classifier)
    schema = response_schema(content.classifier)
    return CompiledPrompt(
        classifier=content.classifier,
        messages=messages,
        response_schema=schema,
        options=content.options,
        fingerprint=fingerprint(messages, schema, content.options),
        static_tokens=sum(count_tokens(message.before + (message.after or "")) for message in messages),
        model=content.model,
        extra={"outputs": content.outputs},
    )


def shipped_folder() -> Path:
    """The prompts of this checkout, or those inside the installed package.

    The checkout comes first: an editable install leaves a stale copy in the package's own data folder.
    """
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and any((checkout / "prompts").glob(f"*{SUFFIX}")):
        return checkout / "prompts"
    return package / "_data" / "prompts"


def static_text(messages: Sequence[PromptMessage]) -> str:
    """All that a model reads besides the transcript, in order."""
    return "\n".join(message.before + (message.after or "") for message in messages)


def count_tokens(text: str) -> int:
    """How many o200k_base tokens a text has."""
    return int(_tokenizer().count(text))


@functools.cache
def _tokenizer() -> Any:
    import quicktok

    return quicktok.get_encoding("o200k_base")

"""A way of asking as lines of `semtel.yaml`: comments, order and everything else in the file stay.

Belongs here: which fields a way sets, and changing a file. Choosing the way belongs in `choosing`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from semtel_dagster.errors import SettingsError
from semtel_dagster.evaluation.records import write_whole
from semtel_dagster.settings import DEFAULT_FILE, SETTINGS_VARIABLE, Settings, load_settings
from semtel_dagster.tuning.students import NOBODY, Students
from semtel_dagster.tuning.ways import Groups, Way

Fields = dict[str, Any]


def fields_of(way: Way, settings: Settings, groups: Groups, students: Students = NOBODY) -> Fields:
    """The fields that make a run ask in this way, where they differ from those there are.

    Args:
        way: How to ask.
        settings: Those there are.
        groups: Which classifiers are combined.
        students: Who answers in a way with a cascade.

    Returns:
        By name of a field or section; a section holds only what changes.
    """
    wanted = way.settings(settings, groups)
    fields: Fields = {}
    for section, names in (
        ("truncate", ("max_tokens",)),
        ("compress", ("lossless", "sentences")),
        ("pack", ("conversations",)),
    ):
        now, then = getattr(settings, section), getattr(wanted, section)
        changed = {name: getattr(then, name) for name in names if getattr(then, name) != getattr(now, name)}
        if changed:
            fields[section] = _plain(changed)
    if wanted.combine != settings.combine:
        fields["combine"] = _plain(wanted.combine)
    if way.cascade and (changed := _cascade(settings, students)):
        fields["cascade"] = changed
    if way.batch != settings.batch.enabled:
        fields["batch"] = {"enabled": way.batch}
    return fields


def _cascade(settings: Settings, students: Students) -> Fields:
    """The section under which these students answer, and later ones promise the same."""
    promised = next(iter(students.trained.values()))
    wanted = {
        "classifiers": sorted({*settings.cascade.classifiers, *students.trained}),
        "agreement": promised.agreement,
        "confidence": promised.confidence,
    }
    now = {**dict(settings.cascade), "classifiers": sorted(settings.cascade.classifiers)}
    return {name: value for name, value in wanted.items() if now[name] != value}


def settings_file(given: Path | None) -> Path:
    """The file that the settings are read from.

    Raises:
        SettingsError: There is none.
    """
    path = Path(given or os.environ.get(SETTINGS_VARIABLE) or DEFAULT_FILE).expanduser().absolute()
    if not path.is_file():
        raise SettingsError(f"no settings file to write to: {path} does not exist; make it, or give --settings")
    return path


def write(path: Path, fields: Mapping[str, Any]) -> None:
    """Changes the fields in the file, once the changed file is known to be readable.

    Raises:
        SettingsError: The changed file would be wrong; the file is as it was.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.util import load_yaml_guess_indent

    text = path.read_text(encoding="utf-8")
    document, indent, offset = load_yaml_guess_indent(text)
    document = {} if document is None else document
    for name, value in fields.items():
        if isinstance(value, dict) and isinstance(document.get(name), dict):
            document[name].update({key: _in_one_line(each) for key, each in value.items()})
        else:
            document[name] = _in_one_line(value)
    yaml = YAML()
    yaml.width = 4096  # long lines stay as they are
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=indent or 4, offset=offset or 0)
    changed = io.StringIO()
    yaml.dump(document, changed)
    _check(path, changed.getvalue())
    write_whole(path, changed.getvalue().encode())


def as_yaml(fields: Mapping[str, Any]) -> str:
    """The fields as a user would write them."""
    import yaml

    return "".join(yaml.safe_dump({name: value}, default_flow_style=None) for name, value in fields.items()).rstrip()


def _in_one_line(value: Any) -> Any:
    """The value so that it is written as `{name: value}` or `[value]`, as people write short ones."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if not isinstance(value, dict | list):
        return value
    node = CommentedMap(value) if isinstance(value, dict) else CommentedSeq(value)
    node.fa.set_flow_style()
    return node


def _check(path: Path, text: str) -> None:
    """Loads the changed text from beside the file, where relative paths mean the same."""
    draft = path.with_name(f".{path.name}.tuned")
    try:
        draft.write_text(text, encoding="utf-8")
        load_settings(draft)
    except SettingsError as error:
        raise SettingsError(f"{path} was left as it is, since the tuned settings would be wrong: {error}") from None
    finally:
        draft.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """As YAML has it: tuples as lists, sections as what was set in them."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value

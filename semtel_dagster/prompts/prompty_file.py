"""Reading one Prompty 2 file into values: its tasks, options and template, with every fault named.

Finding files belongs in `loader`, making messages in `render`. Nothing here depends on a conversation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from semtel_dagster.classifiers import Classifier, Label, Task
from semtel_dagster.errors import SettingsError

if TYPE_CHECKING:
    from prompty import Agent

NAME = re.compile(r"[a-z][a-z0-9_]*")
API_NAMES = {
    "temperature": "temperature",
    "maxOutputTokens": "max_tokens",
    "topP": "top_p",
    "topK": "top_k",
    "seed": "seed",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
    "stopSequences": "stop",
    "reasoningEffort": "reasoning_effort",
}
# The request engine writes these itself; a prompt file that sets them would break every call.
RESERVED = frozenset({"model", "messages", "response_format", "stream", "n", "tools", "logprobs"})
V1_MODEL_FIELDS = ("api", "configuration", "parameters", "response")
MIGRATION = (
    "to migrate: model.configuration.azure_deployment -> model.id, model.parameters -> model.options with "
    "max_tokens -> maxOutputTokens and top_p -> topP, sample -> drop, inputs as a list of {name, kind}, "
    "template -> {format: {kind: jinja2}, parser: {kind: prompty}}, labels under metadata.tasks"
)


@dataclass(frozen=True)
class PromptyFile:
    """What one file says, before anything is rendered.

    Attributes:
        classifier: Name, description, tasks and labels.
        agent: The library's own object, which renders the template.
        options: Model parameters by their API names.
        outputs: The file's `outputs`: the enum of each field, or None where it has none.
        model: The model that the file asks for.
    """

    classifier: Classifier
    agent: Agent
    options: dict[str, Any]
    outputs: dict[str, list[str] | None]
    model: str | None


def read(path: Path) -> PromptyFile:
    """Reads a Prompty 2 file.

    Raises:
        SettingsError: The file cannot be read, is of Prompty version 1, or its tasks or options are wrong.
    """
    import prompty

    front = _front_matter(path)
    _refuse_version_1(path, front)
    try:
        agent = prompty.load(path)
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        raise SettingsError(f"{path} is not a Prompty 2 file: {_first_line(error)}") from None
    return PromptyFile(
        classifier=_classifier(path, agent),
        agent=agent,
        options=_options(path, front),
        outputs={output.name: output.enum_values for output in agent.outputs or []},
        model=(agent.model.id or None) if agent.model else None,
    )


def _front_matter(path: Path) -> dict[str, Any]:
    from prompty.core.utils import load_prompty

    try:
        front = load_prompty(path)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 2}" if mark else ""
        raise SettingsError(f"the front matter of {path} is not YAML{place}: {_first_line(error)}") from None
    except (ValueError, TypeError, OSError) as error:
        raise SettingsError(f"{path} cannot be read as a Prompty file: {_first_line(error)}") from None
    if not isinstance(front, dict) or not str(front.get("instructions") or "").strip():
        raise SettingsError(f"{path} needs YAML front matter between two lines of --- and a template below them")
    return front


def _refuse_version_1(path: Path, front: dict[str, Any]) -> None:
    model = front.get("model")
    signs = [f"model.{name}" for name in V1_MODEL_FIELDS if isinstance(model, dict) and name in model]
    signs += [name for name in ("sample",) if name in front]
    if isinstance(front.get("template"), str):
        signs.append("template as a plain word")
    if signs:
        raise SettingsError(f"{path} is a Prompty version 1 file (it has {', '.join(signs)}); {MIGRATION}")


def _classifier(path: Path, agent: Agent) -> Classifier:
    """The tasks under `metadata`, with the white space of folded YAML text made plain."""
    name = path.stem
    if not NAME.fullmatch(name):
        raise SettingsError(
            f"{path.name}: a classifier's file name is lower-case letters, digits and _, e.g. topic.prompty"
        )
    if agent.name != name:
        raise SettingsError(f"{path.name} has name: {agent.name!r}; it must be {name!r}, the file's own name")
    raw = (agent.metadata or {}).get("tasks")
    if not isinstance(raw, list) or not raw:
        raise SettingsError(f"{path.name} has no metadata.tasks; list there at least one task with its labels")
    try:
        tasks = tuple(_plain(Task.model_validate(task)) for task in raw)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"]) or "task"
        hint = "; quote it if YAML read a number, yes or no" if fault["type"] == "string_type" else ""
        raise SettingsError(f"{path.name}, metadata.tasks, {field}: {fault['msg']}{hint}") from None
    _refuse_repeats(path, tasks)
    return Classifier(name=name, description=" ".join((agent.description or "").split()), tasks=tasks)


def _plain(task: Task) -> Task:
    labels = tuple(
        Label(
            name=" ".join(label.name.split()),
            definition=" ".join(label.definition.split()),
            excludes=" ".join(label.excludes.split()),
            aliases=label.aliases,
            group=label.group,
        )
        for label in task.labels
    )
    return task.model_copy(update={"question": " ".join(task.question.split()), "labels": labels})


def _refuse_repeats(path: Path, tasks: tuple[Task, ...]) -> None:
    fields = [field for task in tasks for field in (task.name, *([task.score.field] if task.score else []))]
    for field in fields:
        if not NAME.fullmatch(field):
            raise SettingsError(f"{path.name}: task or score field {field!r} must be lower-case letters, digits and _")
        if fields.count(field) > 1:
            raise SettingsError(
                f"{path.name}: the answer field {field!r} is used twice; give tasks and scores own names"
            )
    for task in tasks:
        names = [label.name for label in task.labels]
        if len(names) < 2:
            raise SettingsError(f"{path.name}: task {task.name!r} has {len(names)} labels; it needs at least two")
        for name in names:
            if not name or names.count(name) > 1:
                raise SettingsError(f"{path.name}: task {task.name!r} has the label {name!r} twice, or it is empty")


def _options(path: Path, front: dict[str, Any]) -> dict[str, Any]:
    model = front.get("model")
    given = (model.get("options") if isinstance(model, dict) else None) or {}
    if not isinstance(given, dict):
        raise SettingsError(f"{path.name}: model.options must be a mapping, e.g. {{temperature: 0}}")
    extra = given.get("additionalProperties") or {}
    unknown = sorted(set(given) - set(API_NAMES) - {"additionalProperties"})
    if unknown:
        known = ", ".join(API_NAMES)
        raise SettingsError(
            f"{path.name}: unknown model.options {', '.join(unknown)}; known are {known}; "
            "others go under additionalProperties"
        )
    named = {API_NAMES[name]: value for name, value in given.items() if name in API_NAMES and value is not None}
    options = {**extra, **named}
    reserved = sorted(RESERVED & set(options))
    if reserved:
        raise SettingsError(f"{path.name}: model.options must not set {', '.join(reserved)}; the request engine does")
    return {name: _whole(options[name]) for name in sorted(options)}


def _whole(value: Any) -> Any:
    """0.0 as 0, so that spelling a number otherwise is not a change of the prompt."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

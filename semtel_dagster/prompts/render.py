"""Rendering a template once, with a stand-in where the transcript goes.

A template is never rendered with a conversation: the library would take a line such as `system:` in it for the
start of a message, or refuse it. The stand-in is cut out of the rendered messages, and the transcript is put
between the two halves as plain text.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from semtel_dagster.classifiers import Classifier, CompiledPrompt, PromptMessage
from semtel_dagster.errors import SettingsError

if TYPE_CHECKING:
    from prompty import Agent

# Two of unlike length: a template that measures, alters or branches on the transcript renders them unlike.
_STAND_IN = "semtel-transcript-9b1f3c7e"
_OTHER_STAND_IN = "Semtel Transcript 5d20\u00e9 stands here, at another length"


def render_static(path: Path, agent: Agent, classifier: Classifier) -> tuple[PromptMessage, ...]:
    """A file's messages, with a place for the transcript in exactly one of them.

    Raises:
        SettingsError: The template is broken, or does not hold `{{ transcript }}` once, plainly, in a user message.
    """
    messages = _messages(path, agent, classifier, _STAND_IN)
    if messages != _messages(path, agent, classifier, _OTHER_STAND_IN):
        raise SettingsError(
            f"{path.name}: the template must put {{{{ transcript }}}} in as it is, without filters or tests"
        )
    places = [message.role for message in messages if message.after is not None]
    if len(places) != 1 or places != ["user"]:
        raise SettingsError(
            f"{path.name}: the template must hold {{{{ transcript }}}} exactly once, in a user: message; "
            f"found {len(places)} in {', '.join(places) or 'no message'}"
        )
    return messages


def render_messages(prompt: CompiledPrompt, transcript: str) -> list[dict[str, str]]:
    """The chat messages for one transcript, as `{"role", "content"}`; for tests and for looking at a prompt."""
    return [
        {
            "role": message.role,
            "content": message.before if message.after is None else message.before + transcript + message.after,
        }
        for message in prompt.messages
    ]


def _messages(path: Path, agent: Agent, classifier: Classifier, stand_in: str) -> tuple[PromptMessage, ...]:
    import prompty
    from jinja2 import TemplateError

    inputs = {"transcript": stand_in, "tasks": [_task_values(task) for task in classifier.model_dump()["tasks"]]}
    try:
        prepared = prompty.prepare(agent, inputs)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        place = f", line {line} of the template" if line else ""
        raise SettingsError(f"{path.name}{place}: {error.message or type(error).__name__}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        if "Nonce" in why:
            why = "a question or definition holds a line that reads as the start of a message (such as system:)"
        raise SettingsError(f"{path.name}: the template does not render: {why}") from None
    messages = []
    for message in prepared:
        text = "".join(part.value for part in message.parts)
        parts = text.split(stand_in)
        if len(parts) > 2:
            raise SettingsError(f"{path.name}: the template must hold {{{{ transcript }}}} exactly once")
        messages.append(PromptMessage(message.role, parts[0], parts[1] if len(parts) == 2 else None))
    return tuple(messages)


def _task_values(task: dict[str, Any]) -> dict[str, Any]:
    """A task as the template sees it: without aliases, which are for parsing only; bounds as whole numbers."""
    for label in task["labels"]:
        del label["aliases"]
    if task["score"]:
        for bound in ("minimum", "maximum"):
            value = task["score"][bound]
            task["score"][bound] = int(value) if float(value).is_integer() else value
    return task

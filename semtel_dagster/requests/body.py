"""Request bodies: rendered once per prompt and endpoint, the transcript spliced in as JSON.

Belongs here: the bytes of a chat completion request and what an endpoint cannot take of it. No network.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from semtel_dagster.classifiers import CompiledPrompt, PromptMessage
from semtel_dagster.errors import SettingsError


@dataclass(frozen=True)
class BodyTemplate:
    """A request body with a place for the transcript.

    Attributes:
        prefix: Bytes before the transcript, inside its JSON string.
        suffix: Bytes after it.
    """

    prefix: bytes
    suffix: bytes

    def render(self, transcript: str) -> bytes:
        """The body for a transcript, as UTF-8 JSON.

        Raises:
            TypeError: The transcript holds a lone surrogate, which no UTF-8 can carry.
        """
        return b"".join((self.prefix, orjson.dumps(transcript)[1:-1], self.suffix))


def compile_body(prompt: CompiledPrompt, model: str, lacking: frozenset[str] = frozenset()) -> BodyTemplate:
    """Renders everything but the transcript.

    Args:
        prompt: The classifier's prompt.
        model: The endpoint's model name.
        lacking: Parameters that the endpoint does not take. "max_tokens" is then sent as "max_completion_tokens";
            "response_format" is first sent as a plain JSON object ("json_schema" lacking), then left out.

    Raises:
        SettingsError: Not exactly one message has a place for the transcript.
    """
    slots = [place for place, message in enumerate(prompt.messages) if message.after is not None]
    if len(slots) != 1:
        raise SettingsError(
            f"the prompt of classifier {prompt.classifier.name!r} has {len(slots)} places for the transcript; "
            "use it exactly once in the template"
        )
    slot = slots[0]
    rest = orjson.dumps({"model": model, **_parameters(prompt, lacking)})[1:]
    before = [_whole(message) for message in prompt.messages[:slot]]
    after = [_whole(message) for message in prompt.messages[slot + 1 :]]
    message = prompt.messages[slot]
    opening = orjson.dumps({"role": message.role})[:-1] + b',"content":' + orjson.dumps(message.before)[:-1]
    closing = orjson.dumps(message.after or "")[1:] + b"}"
    return BodyTemplate(
        prefix=b'{"messages":[' + b",".join([*before, opening]),
        suffix=b",".join([closing, *after]) + b"]," + rest,
    )


def _whole(message: PromptMessage) -> bytes:
    return orjson.dumps({"role": message.role, "content": message.before})


def _parameters(prompt: CompiledPrompt, lacking: frozenset[str]) -> dict[str, object]:
    options = {name: value for name, value in prompt.options.items() if name not in lacking}
    if "max_tokens" in lacking and "max_tokens" in prompt.options:
        options["max_completion_tokens"] = prompt.options["max_tokens"]
    if prompt.response_schema and "response_format" not in lacking:
        options["response_format"] = _response_format(prompt, plain="json_schema" in lacking)
    return options


def _response_format(prompt: CompiledPrompt, *, plain: bool) -> dict[str, object]:
    if plain:
        return {"type": "json_object"}
    schema = {"name": prompt.classifier.name[:64], "strict": True, "schema": prompt.response_schema}
    return {"type": "json_schema", "json_schema": schema}

r"""What was said: reading a source's messages into the contract's roles and texts.

The rules: a role is matched without case, and common names of one are translated (human, gpt, ai, model, ...);
a message without text (null, blank, images only) is dropped; text given in parts is joined by `\n`; NUL and lone
surrogates become U+FFFD, all else is kept as it is, U+2028 and bidirectional controls included. Where the
messages stand in a source's row belongs in `formats`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from semtel_dagster.sources.rules import Rejection, type_name
from semtel_dagster.transcript import REPLACEMENT

Message = tuple[str, str]  # role, content

ROLE_NAMES = {
    **dict.fromkeys(("user", "human", "prompter", "customer"), "user"),
    **dict.fromkeys(
        ("assistant", "gpt", "chatgpt", "ai", "bot", "model", "bing", "bard", "claude", "gemini"), "assistant"
    ),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "function"), "tool"),
}

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean(text: str) -> str:
    """Text as every engine and file can hold it: NUL and lone surrogates become U+FFFD."""
    return _UNSTORABLE.sub(REPLACEMENT, text)


def read_messages(value: Any, role_key: str, content_key: str, max_bytes: int) -> list[Message]:
    """Reads a list of message objects.

    Args:
        value: The row's list.
        role_key: The objects' field that names the speaker.
        content_key: The objects' field that holds the text, or a list of its parts.
        max_bytes: The longest message allowed, in bytes of UTF-8.

    Returns:
        The messages that hold text, in order; one of the user at least.

    Raises:
        Rejection: wrong_type, missing_field, unknown_role, over_long_message or no_user_message.
    """
    if value is None:
        raise Rejection("missing_field", "messages")
    if not isinstance(value, list):
        raise Rejection("wrong_type", f"messages: {type_name(value)}")
    read = [_read_message(item, f"messages[{index}]", role_key, content_key) for index, item in enumerate(value)]
    messages = [(role, clean(content)) for role, content in read if content.strip()]
    _check_lengths(messages, max_bytes)
    if all(role != "user" for role, _ in messages):
        raise Rejection("no_user_message", f"{len(value)} messages")
    return messages


def _read_message(item: Any, place: str, role_key: str, content_key: str) -> Message:
    if not isinstance(item, dict):
        raise Rejection("wrong_type", f"{place}: {type_name(item)}")
    role = item.get(role_key)
    if role is None:
        raise Rejection("missing_field", f"{place}.{role_key}")
    if not isinstance(role, str):
        raise Rejection("wrong_type", f"{place}.{role_key}: {type_name(role)}")
    known = ROLE_NAMES.get(role.strip().lower())
    if known is None:
        raise Rejection("unknown_role", f"{place}.{role_key}")
    return known, _text(item.get(content_key), f"{place}.{content_key}")


def _text(content: Any, place: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(part for part in (_part_text(part, place) for part in content) if part)
    raise Rejection("wrong_type", f"{place}: {type_name(content)}")


def _part_text(part: Any, place: str) -> str:
    text = part.get("text") if isinstance(part, dict) else part
    if text is None:
        return ""
    if not isinstance(text, str):
        raise Rejection("wrong_type", f"{place}: array of {type_name(text)}")
    return text


def _check_lengths(messages: Sequence[Message], max_bytes: int) -> None:
    for index, (_, content) in enumerate(messages):
        if len(content) * 4 > max_bytes and (size := len(content.encode())) > max_bytes:
            raise Rejection("over_long_message", f"text {index}: {size} bytes")

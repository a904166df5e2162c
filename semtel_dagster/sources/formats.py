"""How a source names its fields: the public formats, and a column mapping over them.

A format says which own column stands for which field of the contract, and how its messages are written. A user's
`columns` win over the format's. Checking the values belongs in `validate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from semtel_dagster.errors import SettingsError
from semtel_dagster.settings import SourceSettings
from semtel_dagster.sources.rules import Rejection, type_name

CONTRACT_FIELDS = ("conversation_id", "user_id", "started_at", "language", "messages")


@dataclass(frozen=True)
class Format:
    """One way of writing conversations.

    Attributes:
        columns: Own column -> field of the contract, where the names differ.
        role_key: A message's field that names the speaker.
        content_key: A message's field that holds the text.
        flatten: Makes the row's list of messages where it is no list in the source.
        dropped: Own columns that hold the conversation once more and are no extra.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    role_key: str = "role"
    content_key: str = "content"
    flatten: Callable[[Any, Mapping[str, Any]], Any] | None = None
    dropped: tuple[str, ...] = ()


def current_branch(mapping: Any, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The messages of an OpenAI export's conversation tree that the user last saw.

    Follows the parents from `current_node` to the root; hidden messages are left out.

    Args:
        mapping: Node id -> {"message", "parent", "children"}.
        row: The conversation, for its `current_node`.

    Raises:
        Rejection: The tree is no tree, or `current_node` is not in it.
    """
    if not isinstance(mapping, dict):
        raise Rejection("wrong_type", f"mapping: {type_name(mapping)}")
    node_id, seen, branch = row.get("current_node"), set(), []
    if node_id not in mapping:
        raise Rejection("malformed_field", "current_node is not in mapping")
    while node_id is not None:
        node = mapping.get(node_id)
        if node_id in seen or not isinstance(node, dict):
            raise Rejection("malformed_field", "mapping is not a tree")
        seen.add(node_id)
        branch.append(_export_message(node.get("message")))
        node_id = node.get("parent")
    return [message for message in reversed(branch) if message is not None]


def _export_message(message: Any) -> dict[str, Any] | None:
    if message is None or _get(_get(message, "metadata"), "is_visually_hidden_from_conversation"):
        return None
    content = _get(message, "content")
    parts = _get(content, "parts")
    return {"role": _get(_get(message, "author"), "role"), "content": _get(content, "text") if parts is None else parts}


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


FORMATS = {
    "semtel": Format(),
    "wildchat": Format(
        {
            "conversation_hash": "conversation_id",
            "hashed_ip": "user_id",
            "timestamp": "started_at",
            "conversation": "messages",
        }
    ),
    "lmsys": Format({"conversation": "messages", "tstamp": "started_at"}),
    "sharegpt": Format({"id": "conversation_id", "conversations": "messages"}, role_key="from", content_key="value"),
    "openai-export": Format(
        {"id": "conversation_id", "create_time": "started_at", "mapping": "messages"},
        flatten=current_branch,
        dropped=("current_node",),
    ),
}


def own_names(source: SourceSettings) -> dict[str, tuple[str, ...]]:
    """Field of the contract -> the source's own columns that may hold it, the first one present counts.

    Raises:
        SettingsError: `source.columns` names a field that the contract lacks, or one field twice.
    """
    names: dict[str, tuple[str, ...]] = {name: (name,) for name in CONTRACT_FIELDS}
    names.update({contract: (own, contract) for own, contract in FORMATS[source.format].columns.items()})
    for own, contract in source.columns.items():
        if contract not in CONTRACT_FIELDS:
            raise SettingsError(
                f"source.columns maps {own!r} to {contract!r}; choose from {', '.join(CONTRACT_FIELDS)}"
            )
    if len(set(source.columns.values())) < len(source.columns):
        raise SettingsError("source.columns maps two columns to one field; leave one of them out")
    return names | {contract: (own,) for own, contract in source.columns.items()}

"""A source's row against the contract: the values that a conversation's row holds, or the rule that it breaks.

The rules for times and messages stand in `times` and `messages`. Which files and rows are read belongs in `weeks`.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
from dataclasses import dataclass
from typing import Any

import orjson

from semtel_dagster.settings import SourceSettings
from semtel_dagster.sources.formats import FORMATS, Format, own_names
from semtel_dagster.sources.messages import Message, clean, read_messages
from semtel_dagster.sources.rules import Rejection, type_name
from semtel_dagster.sources.text_records import parse_json
from semtel_dagster.sources.times import parse_time

MAX_ID_CHARACTERS = 512


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the source: a conversation, or, with a reason, why there is none."""

    position: int | None
    conversation_id: str | None = None
    user_id: str | None = None
    started_at: dt.datetime | None = None
    language: str | None = None
    messages: list[Message] | None = None
    extra: str | None = None
    reason: str | None = None
    detail: str | None = None
    undated: bool = False


@dataclass(frozen=True)
class Contract:
    """What a source's rows must hold, and under which names.

    Attributes:
        names: Field -> own columns that may hold it.
        form: How the messages are written.
        max_message_bytes: The longest message allowed.
    """

    names: dict[str, tuple[str, ...]]
    form: Format
    max_message_bytes: int

    @classmethod
    def of(cls, source: SourceSettings) -> Contract:
        """The contract for a source's settings.

        Raises:
            SettingsError: The column mapping is wrong.
        """
        return cls(own_names(source), FORMATS[source.format], source.max_message_bytes)

    def time(self, values: dict[str, Any]) -> dt.datetime:
        """When the row's conversation started, in UTC.

        Raises:
            Rejection: There is no usable time.
        """
        return parse_time(self._value(values, "started_at"))

    def row(self, position: int | None, values: dict[str, Any], started_at: dt.datetime) -> Row:
        """The row's conversation.

        Raises:
            Rejection: The row breaks a rule.
        """
        return Row(
            position=position,
            conversation_id=_identifier(self._value(values, "conversation_id"), "conversation_id"),
            user_id=_optional(self._value(values, "user_id"), "user_id"),
            started_at=started_at,
            language=_optional(self._value(values, "language"), "language"),
            messages=self._messages(values),
            extra=self._extra(values),
        )

    def rejected(self, position: int | None, values: dict[str, Any], rejection: Rejection, undated: bool) -> Row:
        """The row's place in quarantine, with its id if that can be read."""
        try:
            conversation_id = _optional(self._value(values, "conversation_id"), "conversation_id")
        except Rejection:
            conversation_id = None
        return reject(position, rejection, conversation_id, undated)

    def _value(self, values: dict[str, Any], field: str) -> Any:
        return next((values[name] for name in self.names[field] if name in values), None)

    def _messages(self, values: dict[str, Any]) -> list[Message]:
        found = self._value(values, "messages")
        if isinstance(found, str):
            found = _embedded_json(found)
        if self.form.flatten is not None:
            found = self.form.flatten(found, values)
        return read_messages(found, self.form.role_key, self.form.content_key, self.max_message_bytes)

    def _extra(self, values: dict[str, Any]) -> str | None:
        used = {next((name for name in names if name in values), None) for names in self.names.values()}
        extra = {name: value for name, value in values.items() if name not in used and name not in self.form.dropped}
        return to_json(extra) if extra else None


def reject(position: int | None, rejection: Rejection, conversation_id: str | None = None, undated: bool = True) -> Row:
    """A row that stands in quarantine."""
    return Row(position, conversation_id, reason=rejection.reason, detail=rejection.detail or None, undated=undated)


def _optional(value: Any, field: str) -> str | None:
    """A text or whole number as text; null and blank text are None."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise Rejection("wrong_type", f"{field}: {type_name(value)}")
    text = clean(value).strip()
    if len(text) > MAX_ID_CHARACTERS:
        raise Rejection("malformed_field", f"{field}: {len(text)} characters, {MAX_ID_CHARACTERS} at most")
    return text or None


def _identifier(value: Any, field: str) -> str:
    text = _optional(value, field)
    if text is None:
        raise Rejection("missing_field", field)
    return text


def _embedded_json(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return parse_json(text)
    except Rejection as rejection:
        raise Rejection("malformed_field", f"messages: {rejection.reason}") from None


def to_json(extra: dict[str, Any]) -> str:
    """The source's own columns as one JSON object."""
    try:
        return orjson.dumps(extra, default=_plain).decode()
    except TypeError:
        # Lone surrogates and integers over 64 bits, which orjson refuses.
        return clean(json.dumps(extra, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, decimal.Decimal):
        return str(value)
    raise TypeError(type(value).__name__)

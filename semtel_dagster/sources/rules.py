"""Why a row is quarantined: the reason codes, their words, and the exception that carries one.

Finding the faults belongs in the modules that read and validate; nothing here reads anything.
"""

from __future__ import annotations

REASONS = {
    "unreadable_file": "the file ends early or is damaged",
    "unknown_file_kind": "the file's ending is none that can be read",
    "line_too_long": "the line is longer than any conversation may be",
    "not_utf8": "the text is not UTF-8",
    "not_json": "the text is not JSON, or is cut off",
    "not_an_object": "the JSON value is not an object",
    "malformed_row": "the CSV row has not as many fields as the header",
    "missing_field": "a field of the contract is absent or empty",
    "wrong_type": "a field has a type that the contract does not know",
    "malformed_field": "a field has the right type but no usable content",
    "missing_time": "started_at is absent or empty",
    "unparseable_time": "started_at is no time that can be read",
    "time_out_of_range": "started_at lies before the year 2000 or after 2099",
    "unknown_role": "a message's role is none of user, assistant, system, tool, nor a known name of one",
    "over_long_message": "a message is longer than source.max_message_bytes",
    "no_user_message": "no message of the user holds any text",
    "duplicate_id": "an earlier row of the week has the same conversation_id",
}


class Rejection(Exception):  # noqa: N818 - a value in the readers' streams as much as an error
    """A row, or a whole file, breaks a rule.

    Attributes:
        reason: One of REASONS.
        detail: Which field, which type; never conversation text.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


def type_name(value: object) -> str:
    """A value's type in words for `Rejection.detail`, as JSON would call it."""
    names = {
        "dict": "object",
        "list": "array",
        "str": "string",
        "NoneType": "null",
        "int": "integer",
        "float": "number",
    }
    return names.get(type(value).__name__, type(value).__name__)

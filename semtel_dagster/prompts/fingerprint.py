"""The fingerprint of a prompt: what can change an answer, and nothing else.

In: roles and texts of the rendered messages, where the transcript stands, the response schema, the options. Out:
comments, the order of keys, aliases, descriptions that the template does not show, white space outside the
template, and the model, which is recorded beside the fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from semtel_dagster.classifiers import PromptMessage


def fingerprint(messages: Sequence[PromptMessage], schema: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """16 hex digits of BLAKE2b over a canonical JSON text; the same on every machine and Python."""
    content = {
        "messages": [[message.role, message.before, message.after] for message in messages],
        # Properties are generated in this order, and the order of generation can change an answer.
        "fields": list(schema.get("properties", {})),
        "schema": schema,
        "options": options,
    }
    return hashlib.blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()

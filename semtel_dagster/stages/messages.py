"""The column `messages` as turns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semtel_dagster.transcript import Turn


def turns_of(messages: pa.Array) -> list[list[Turn]]:
    """The turns of each row; a row without messages has none."""
    flat = pc.list_flatten(messages)
    roles, contents = (flat.field(name).to_pylist() for name in ("role", "content"))
    turns = [Turn(role, content) for role, content in zip(roles, contents, strict=True)]
    lengths = pc.fill_null(pc.list_value_length(messages), 0).to_pylist()
    starts = np.cumsum([0, *lengths]).tolist()
    return [turns[start : start + length] for start, length in zip(starts, lengths, strict=False)]

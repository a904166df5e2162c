"""The column `messages` as turns, and as transcripts."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from semtel_dagster.transcript import LINE_SEPARATORS, QUOTE, REPLACEMENT, ROLES, UNSAFE, Turn


def turns_of(messages: pa.Array) -> list[list[Turn]]:
    """The turns of each row; a row without messages has none."""
    flat = pc.list_flatten(messages)
    roles, contents = (flat.field(name).to_pylist() for name in ("role", "content"))
    turns = [Turn(role, content) for role, content in zip(roles, contents, strict=True)]
    starts = _starts(messages).tolist()
    return [turns[first:last] for first, last in itertools.pairwise(starts)]


def transcripts_of(messages: pa.Array) -> list[str]:
    """What `transcript.render` makes of the turns of each row, by the column and without the interpreter's lock.

    Raises:
        ValueError: A role is none of ROLES.
    """
    flat = pc.list_flatten(messages)
    roles, contents = (pl.Series(flat.field(name), dtype=pl.String) for name in ("role", "content"))
    if not roles.is_in(ROLES).all():
        raise ValueError(f"the role must be one of {', '.join(ROLES)}")
    if contents.str.contains(UNSAFE).any():
        contents = contents.str.replace_all(UNSAFE, REPLACEMENT)
    lines = contents.str.replace_all(LINE_SEPARATORS, "\n").str.replace_all("\n", f"\n{QUOTE}", literal=True)
    turns = (roles + f":\n{QUOTE}" + lines).to_arrow(compat_level=pl.CompatLevel.oldest())
    by_row = pa.LargeListArray.from_arrays(pa.array(_starts(messages)), turns)
    texts: list[str] = pc.binary_join(by_row, pa.scalar("\n", pa.large_string())).to_pylist()
    return texts


def _starts(messages: pa.Array) -> np.ndarray:
    """Where the messages of each row begin among all, and where the last ones end."""
    lengths = pc.fill_null(pc.list_value_length(messages), 0).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])

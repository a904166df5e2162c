"""Whole columns of a Parquet file or Delta table against the contract: the quick way for rows with nothing to mend.

Almost every row of a tidy log is taken as it stands, without being turned into Python values. A row of which this
module is not sure is judged by `validate`, whose rules decide: here they are only foreseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from semtel_dagster.sources.arrow_records import Interval
from semtel_dagster.sources.batches import READ
from semtel_dagster.sources.messages import ROLE_NAMES
from semtel_dagster.sources.validate import MAX_ID_CHARACTERS, Contract, to_json
from semtel_dagster.tables import MESSAGES, TIMESTAMP

Mask = NDArray[np.bool_]
_NO_TEXT = pa.types.is_null


@dataclass(frozen=True)
class Judged:
    """Rows of which many are good as they stand.

    Attributes:
        good: True where a row is a conversation, unless its id was seen before.
        ids: Each row's conversation_id; meaningless where a row is not good.
        rows: The rows in schema READ, without source; meaningless where a row is not good.
    """

    good: Mask
    ids: list[str]
    rows: pa.RecordBatch


def judge(batch: pa.RecordBatch, positions: pa.Array, contract: Contract, interval: Interval) -> Judged | None:
    """Judges rows by columns; None where the columns' types say nothing about their values.

    Args:
        batch: The source's rows, at least one.
        positions: Their positions, int64.
        contract: What they must hold.
        interval: From, until (excluded): of other times no row is good.
    """
    columns = {field: _column(batch, names) for field, names in contract.names.items()}
    messages = _messages(columns["messages"], contract)
    texts = {name: columns[name] for name in ("conversation_id", "user_id", "language")}
    if messages is None or not all(_is_text(column.type) or _NO_TEXT(column.type) for column in texts.values()):
        return None
    if not pa.types.is_timestamp(columns["started_at"].type):
        return None
    found, good = messages
    moments = _moments(columns["started_at"])
    since, until = (pa.scalar(moment, TIMESTAMP) for moment in interval)
    good &= _mask(pc.and_(pc.greater_equal(moments, since), pc.less(moments, until)))
    values = {name: column.to_pylist() for name, column in texts.items()}
    good &= [text is not None and _is_tidy(text) for text in values["conversation_id"]]
    for name in ("user_id", "language"):
        good &= [text is None or _is_tidy(text) for text in values[name]]
    made = {name: column.cast(pa.large_string()) for name, column in texts.items()}
    made |= {"started_at": moments, "messages": found, "position": positions, "extra": _extra(batch, contract)}
    made["undated"] = pa.array(np.zeros(len(batch), dtype=bool))
    arrays = [made[field.name] if field.name in made else pa.nulls(len(batch), field.type) for field in READ]
    return Judged(good, values["conversation_id"], pa.RecordBatch.from_arrays(arrays, schema=READ))


def _column(batch: pa.RecordBatch, names: Sequence[str]) -> pa.Array:
    present = [name for name in names if name in batch.schema.names]
    return batch.column(present[0]) if present else pa.nulls(len(batch))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_tidy(text: str) -> bool:
    """Whether an id stays as it is: neither blank nor padded, and nothing in it to replace."""
    return text.isascii() and text.isprintable() and 0 < len(text.strip()) == len(text) <= MAX_ID_CHARACTERS


def _moments(times: pa.Array) -> pa.Array:
    """Times in UTC; one without a zone is UTC."""
    local = times if times.type.tz else pc.assume_timezone(times, "UTC")
    return local.cast(TIMESTAMP, safe=False)


def _mask(flags: pa.Array) -> Mask:
    found: Mask = np.array(pc.fill_null(flags, False).to_numpy(zero_copy_only=False), dtype=bool)
    return found


def _messages(column: pa.Array, contract: Contract) -> tuple[pa.Array, Mask] | None:
    """The messages in the contract's roles, and which rows' need no mending."""
    kind, form = column.type, contract.form
    if form.flatten is not None or not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return None
    item = kind.value_type
    if not pa.types.is_struct(item) or not {form.role_key, form.content_key} <= {field.name for field in item}:
        return None
    if not all(_is_text(item.field(key).type) for key in (form.role_key, form.content_key)):
        return None
    turns = column.flatten()
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.int64)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    roles = _Roles.of(pc.struct_field(turns, form.role_key))
    contents = pc.struct_field(turns, form.content_key).cast(pa.large_string())
    sound = roles.known & _carries_text(contents, contract.max_message_bytes)
    good = (_per_row(sound, ends) == lengths) & (_per_row(roles.user, ends) > 0) & _mask(column.is_valid())
    found = pa.StructArray.from_arrays([roles.names, contents], fields=list(MESSAGES.value_type))
    return pa.LargeListArray.from_arrays(pa.array(ends), found, type=MESSAGES), good


def _per_row(flags: Mask, ends: NDArray[np.int64]) -> NDArray[np.int64]:
    counts = np.concatenate([[0], np.cumsum(flags)])
    found: NDArray[np.int64] = counts[ends[1:]] - counts[ends[:-1]]
    return found


@dataclass(frozen=True)
class _Roles:
    """Each message's role: its name in the contract, whether it is known, and whether it is the user's."""

    names: pa.Array
    known: Mask
    user: Mask

    @classmethod
    def of(cls, roles: pa.Array) -> _Roles:
        encoded = pc.dictionary_encode(roles.cast(pa.large_string()))
        given = [ROLE_NAMES.get(name.strip().lower()) for name in encoded.dictionary.to_pylist()]
        names = pa.array(given, pa.large_string()).take(encoded.indices)
        return cls(names, _mask(names.is_valid()), _mask(pc.equal(names, "user")))


def _carries_text(contents: pa.Array, max_bytes: int) -> Mask:
    """Which texts are neither missing, blank, too long, nor in need of cleaning."""
    sound = _mask(pc.and_not(pc.less_equal(pc.binary_length(contents), max_bytes), pc.match_substring(contents, "\0")))
    # Nearly every text begins with a letter or a sign of ASCII; of the others Python says whether they are blank.
    doubtful = np.flatnonzero(~_mask(pc.match_substring_regex(contents, r"\A[\x21-\x7e]")))
    texts = contents.take(pa.array(doubtful)).to_pylist()
    sound[doubtful] &= np.array([text is not None and bool(text.strip()) for text in texts], dtype=bool)
    return sound


def _extra(batch: pa.RecordBatch, contract: Contract) -> pa.Array:
    used = {next((name for name in names if name in batch.schema.names), None) for names in contract.names.values()}
    names = [name for name in batch.schema.names if name not in used and name not in contract.form.dropped]
    if not names:
        return pa.nulls(len(batch), pa.large_string())
    return pa.array([to_json(row) for row in batch.select(names).to_pylist()], pa.large_string())

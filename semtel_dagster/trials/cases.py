"""The conversations that an evaluation asks about: golden cases, and a sample without labels.

Texts come from the golden files, else from the stored tables, else from the source; always as the pipeline's own
quoted transcript within its token budget. What is asked about them belongs in `asking`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa

from semtel_dagster.errors import SourceError
from semtel_dagster.evaluation.golden import GoldenSet
from semtel_dagster.settings import Settings
from semtel_dagster.sources.weeks import ReadWeek, source_weeks
from semtel_dagster.stages.truncate import compressor_of, truncate_turns
from semtel_dagster.transcript import Turn, content_hash

TEXTS = pa.schema([("content_hash", pa.large_string()), ("text", pa.large_string()), ("n_tokens", pa.int32())])
_COLUMNS = ["content_hash", "text", "n_tokens"]


@dataclass(frozen=True)
class Cases:
    """Conversations to ask about.

    Attributes:
        hashes: The content hash of each case, by its id.
        texts: TEXTS, one row per distinct hash, in the hashes' order.
        missing: Ids of cases whose conversation was not found.
    """

    hashes: Mapping[str, str]
    texts: pa.Table
    missing: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.hashes)


def golden_cases(golden: GoldenSet, tasks: Iterable[str], settings: Settings) -> Cases:
    """The conversations of all golden labels of some tasks.

    Args:
        golden: Labels, and those conversations that came with them.
        tasks: Names of tasks.
        settings: Where tables and source are, and the token budget.
    """
    wanted = set(tasks)
    ids = sorted({label.case for label in golden.labels if label.task in wanted})
    rows = _cut({case: list(golden.conversations[case]) for case in ids if case in golden.conversations}, settings)
    rest = [case for case in ids if case not in rows]
    rows |= _stored(rest, settings.storage) if rest else {}
    rest = [case for case in ids if case not in rows]
    rows |= _cut(_in_source(set(rest), settings), settings) if rest else {}
    return _cases(rows, tuple(case for case in ids if case not in rows))


def sample_cases(settings: Settings, size: int, weeks: Sequence[str] = (), first: Iterable[str] = ()) -> Cases:
    """A sample of the stored conversations: those with the smallest content hashes, which is as good as random.

    Args:
        settings: Where the table `distinct_conversations` is.
        size: How many, at most; 0 for none.
        weeks: Only these weeks; unset: all that are stored.
        first: Content hashes to take before any others, where they are still stored: a baseline's sample.
    """
    parts = _parts(settings.storage, "distinct_conversations", weeks)
    if not parts or size < 1:
        return _cases({}, ())
    table = pl.scan_parquet(parts, hive_partitioning=False).select(*_COLUMNS)
    known = table.filter(pl.col("content_hash").is_in(sorted(first))).unique("content_hash").collect()
    others = (
        table.select("content_hash").unique().filter(~pl.col("content_hash").is_in(known["content_hash"].implode()))
    )
    more = others.sort("content_hash").head(max(0, size - known.height)).collect()["content_hash"]
    fresh = table.filter(pl.col("content_hash").is_in(more.implode())).unique("content_hash").collect()
    chosen = pl.concat([known.sort("content_hash").head(size), fresh])
    return _cases({row[0]: row for row in chosen.iter_rows()}, ())


def from_turns(conversations: Mapping[str, Sequence[Turn]], settings: Settings) -> Cases:
    """Conversations given as turns, e.g. of a set of injections."""
    return _cases(_cut({case: list(turns) for case, turns in conversations.items()}, settings), ())


def join(*groups: Cases) -> pa.Table:
    """The texts of several groups of cases, each once."""
    rows = {row["content_hash"]: row for group in groups for row in group.texts.to_pylist()}
    return pa.Table.from_pylist([rows[key] for key in sorted(rows)], schema=TEXTS)


_Text = tuple[str, str, int]


def _cases(rows: Mapping[str, _Text], missing: tuple[str, ...]) -> Cases:
    texts = {row[0]: row for row in rows.values()}
    records = [dict(zip(_COLUMNS, texts[key], strict=True)) for key in sorted(texts)]
    return Cases({case: row[0] for case, row in rows.items()}, pa.Table.from_pylist(records, schema=TEXTS), missing)


def _cut(conversations: Mapping[str, list[Turn]], settings: Settings) -> dict[str, _Text]:
    compressor = compressor_of(settings.compress, settings.truncate)  # no week, so no boilerplate
    found = truncate_turns(list(conversations.values()), settings.truncate, compressor=compressor)
    return {
        case: (content_hash(each.text), each.text, each.n_tokens)
        for case, each in zip(conversations, found, strict=True)
    }


def _stored(ids: Sequence[str], storage: str) -> dict[str, _Text]:
    parts = _parts(storage, "truncated_conversations", ())
    if not parts:
        return {}
    table = pl.scan_parquet(parts, hive_partitioning=False).select("conversation_id", *_COLUMNS)
    rows = table.filter(pl.col("conversation_id").is_in(list(ids))).collect()
    return {case: (key, text, tokens) for case, key, text, tokens in rows.iter_rows()}


def _in_source(ids: set[str], settings: Settings) -> dict[str, list[Turn]]:
    """The conversations with these ids, read from the source week by week until all are found."""
    found: dict[str, list[Turn]] = {}
    try:
        weeks = list(source_weeks(settings.source))
    except SourceError:
        return found
    for week in weeks:
        for case, turns in _week(week, settings):
            if case in ids:
                found[case] = turns
        if len(found) == len(ids):
            break
    return found


def _week(week: dt.date, settings: Settings) -> Iterator[tuple[str, list[Turn]]]:
    for batch in ReadWeek(settings.source, week)():
        columns = (batch.column(name).to_pylist() for name in ("conversation_id", "messages", "reason"))
        for case, messages, reason in zip(*columns, strict=True):
            if reason is None:
                yield case, [Turn(message["role"], message["content"]) for message in messages]


def _parts(storage: str, asset: str, weeks: Sequence[str]) -> list[Path]:
    folders = [f"week={week}" for week in weeks] or ["week=*"]
    return sorted(path for folder in folders for path in Path(storage, asset).glob(f"{folder}/*.parquet"))

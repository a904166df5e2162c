"""The truncation stage: each sampled conversation as a transcript within the token budget.

Before it, where the setting `compress` is on, each conversation is shortened (`compress`).

Strategies: `head` keeps the beginning, `tail` the end, `head_tail` half of each, `last_turns` the last k turns and
of these the end. A cap per message, if set, comes first. Where a stretch of text is taken out belongs in
`cutting`, counting in `tokens`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from semtel_dagster.engines.base import Engine, Frame
from semtel_dagster.reducers import CompressSettings, PerplexitySettings, SentenceSettings
from semtel_dagster.settings import TruncateSettings
from semtel_dagster.stages import boilerplate
from semtel_dagster.stages.compress import Compressor
from semtel_dagster.stages.compress_sentences import SentenceRule
from semtel_dagster.stages.cutting import MARK_TOKENS, Transcript, cut, last_turns_start
from semtel_dagster.stages.messages import transcripts_of, turns_of
from semtel_dagster.stages.threads import map_in_order
from semtel_dagster.stages.tokens import token_ends
from semtel_dagster.surprisal.base import Scorer
from semtel_dagster.surprisal.chance import ChanceScorer
from semtel_dagster.surprisal.gguf import GgufScorer
from semtel_dagster.tables import SAMPLED_CONVERSATIONS, TRUNCATED_CONVERSATIONS
from semtel_dagster.transcript import Turn, content_hash, render

PART_BYTES = 2 * 2**20

_HEAD_SHARES = {"head": 1.0, "head_tail": 0.5, "tail": 0.0, "last_turns": 0.0}
_CARRIED = [name for name in TRUNCATED_CONVERSATIONS.names if name in SAMPLED_CONVERSATIONS.names]


@dataclass(frozen=True)
class Truncated:
    """A conversation's text within the budget.

    Attributes:
        text: The transcript, cut where it had to be.
        n_tokens: Its tokens, exactly.
        n_tokens_before: The tokens of the whole transcript, before anything was shortened.
        truncation: What was done, joined by "+": the rules that shortened something, then "message" (only the cap per
            message cut) or the strategy that cut; "none" if nothing was.
    """

    text: str
    n_tokens: int
    n_tokens_before: int
    truncation: str


@dataclass(frozen=True)
class _Draft:
    """A conversation on its way: its turns, their text and tokens, and what shortened it."""

    turns: list[Turn]
    text: str
    ends: NDArray[np.int64]
    n_before: int
    rules: tuple[str, ...] = ()


def truncate(
    sampled: Frame, options: TruncateSettings, engine: Engine, compress: CompressSettings | None = None
) -> Frame:
    """Renders each conversation and cuts it to the budget, lazily, a batch at a time.

    Args:
        sampled: Rows of `tables.SAMPLED_CONVERSATIONS`.
        options: Budget and strategy.
        engine: Runs the row function.
        compress: What is shortened first; unset: nothing. With the rule `boilerplate` the messages are read
            twice, and the first time is now.

    Returns:
        One row of `tables.TRUNCATED_CONVERSATIONS` for each, in the same order.
    """
    columns = sampled.select(*_CARRIED, "messages")
    # A task of a cluster has one core.
    threads = 1 if engine.distributed else os.cpu_count() or 1
    compress = compress or CompressSettings()
    compressor = compressor_of(compress, options, _boilerplate(sampled, compress, engine))
    function = TruncateBatches(options, threads, compressor)
    return engine.map_batches(columns, function, TRUNCATED_CONVERSATIONS)


def truncate_turns(
    conversations: list[list[Turn]],
    options: TruncateSettings,
    compressor: Compressor | None = None,
) -> list[Truncated]:
    """The transcripts of some conversations within the budget; each depends on its conversation alone."""
    return _truncated([render(turns) for turns in conversations], conversations, options, compressor)


def _truncated(
    texts: Sequence[str], conversations: Sequence[list[Turn]], options: TruncateSettings, compressor: Compressor | None
) -> list[Truncated]:
    drafts = [
        _Draft(turns, text, ends, len(ends))
        for text, turns, ends in zip(texts, conversations, token_ends(texts), strict=True)
    ]
    if compressor is not None:
        drafts = _compressed(drafts, compressor)
    return [_truncate_one(draft, options) for draft in drafts]


@dataclass(frozen=True)
class TruncateBatches:
    """The row function of `truncate`; so many threads share the work, most of which is counting tokens."""

    options: TruncateSettings
    threads: int = 1
    compressor: Compressor | None = None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches of sampled conversations to batches of truncated ones."""
        parts = (part for batch in batches for part in _parts(batch))
        yield from map_in_order(self._truncate, parts, self.threads)

    def _truncate(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        messages = rows.column("messages")
        texts = transcripts_of(messages)
        by_turn = self.compressor is not None or self.options.max_message_tokens is not None
        turns = turns_of(messages) if by_turn else [[] for _ in texts]
        return _batch(rows, _truncated(texts, turns, self.options, self.compressor))


def compressor_of(
    compress: CompressSettings, options: TruncateSettings, known: frozenset[int] = frozenset()
) -> Compressor | None:
    """What shortens each conversation before it is cut; None where nothing does.

    Args:
        compress: What is shortened.
        options: What is cut afterwards: a language model does not read that.
        known: The week's boilerplate (`boilerplate.find`).
    """
    if not compress.is_on:
        return None
    by_sentence = compress.perplexity or compress.sentences
    if by_sentence is None:
        return Compressor(compress, known)
    scorer = _scorer(by_sentence)
    return Compressor(
        compress, known, SentenceRule(by_sentence, scorer, options.max_tokens, _HEAD_SHARES[options.strategy])
    )


def _scorer(by_sentence: SentenceSettings) -> Scorer:
    if isinstance(by_sentence, PerplexitySettings):
        return GgufScorer(by_sentence.model, by_sentence.context, by_sentence.threads)
    return ChanceScorer()


def _boilerplate(sampled: Frame, compress: CompressSettings, engine: Engine) -> frozenset[int]:
    if "boilerplate" not in compress.lossless:
        return frozenset()
    return boilerplate.find(sampled, compress.boilerplate_conversations, engine)


def _compressed(drafts: list[_Draft], compressor: Compressor) -> list[_Draft]:
    """The drafts, shortened where that saves tokens."""
    found = [compressor(draft.turns) for draft in drafts]
    texts = [render(each.turns) if each.rules else "" for each in found]
    return [
        _Draft(each.turns, text, ends, draft.n_before, each.rules)
        if each.rules and len(ends) < draft.n_before
        else draft
        for draft, each, text, ends in zip(drafts, found, texts, token_ends(texts), strict=True)
    ]


def _truncate_one(draft: _Draft, options: TruncateSettings) -> Truncated:
    text, ends, done = draft.text, draft.ends, [*draft.rules]
    if options.max_message_tokens is not None and len(ends) > options.max_message_tokens:
        capped = "\n".join(_cap_messages(draft.turns, options.max_message_tokens, options.strategy))
        if capped != text:
            text, ends, done = capped, token_ends([capped])[0], [*done, "message"]
    transcript = Transcript(text.encode(), ends)
    keep_from = last_turns_start(transcript.data, options.last_turns) if options.strategy == "last_turns" else 0
    if len(ends) <= options.max_tokens and keep_from == 0:
        return Truncated(text, len(ends), draft.n_before, "+".join(done) or "none")
    text, n_tokens = cut(transcript, options.max_tokens, _HEAD_SHARES[options.strategy], keep_from)
    return Truncated(text, n_tokens, draft.n_before, "+".join([*draft.rules, options.strategy]))


def _cap_messages(turns: list[Turn], cap: int, strategy: str) -> Iterator[str]:
    """Each turn's text with its content cut to the cap; the mark comes on top, so less than it is not cut out."""
    texts = [render([turn]) for turn in turns]
    for text, ends in zip(texts, token_ends(texts), strict=True):
        limit = cap + MARK_TOKENS
        yield text if len(ends) <= limit else cut(Transcript(text.encode(), ends), limit, _HEAD_SHARES[strategy])[0]


def _parts(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Stretches of rows that are small enough for their text to be in memory several times over."""
    stretch = max(1, rows.num_rows * PART_BYTES // max(1, rows.nbytes))
    for first in range(0, rows.num_rows, stretch):
        yield rows.slice(first, stretch)


def _batch(rows: pa.RecordBatch, found: list[Truncated]) -> pa.RecordBatch:
    columns = {name: rows.column(name) for name in _CARRIED}
    columns |= {name: pa.array([getattr(item, name) for item in found]) for name in Truncated.__dataclass_fields__}
    columns["n_turns"] = pc.fill_null(pc.list_value_length(rows.column("messages")), 0)
    columns["content_hash"] = pa.array([content_hash(item.text) for item in found])
    arrays = [columns[field.name].cast(field.type) for field in TRUNCATED_CONVERSATIONS]
    return pa.RecordBatch.from_arrays(arrays, schema=TRUNCATED_CONVERSATIONS)

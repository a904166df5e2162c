"""The models at hand under `reducers.py`: the tests' small language model, and the embedded model.

SmolLM2 (135 million parameters, llama.cpp on one core) labels near chance and can hardly copy an id: it shows that
every switch works against a real server, what it then costs, and what a weak model does to packs. It gets questions
and labels without definitions, since one core reads 200 tokens a second. The embedded model reads transcripts and no
prompts: only what shortens a transcript or asks less often applies to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.reducers_asked import Kept, plan_to, record, sure_of
from benchmarks.reducers_data import GOLDEN, Data, golden, sharegpt
from benchmarks.reducers_shown import Row, rows_of
from semtel_dagster.classifiers import CompiledPrompt, PromptMessage
from semtel_dagster.embedding import zero_shot
from semtel_dagster.prompts.fingerprint import fingerprint
from semtel_dagster.prompts.loader import count_tokens
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import EndpointSettings, RequestSettings
from semtel_dagster.tuning.ways import SINGLE, Way, texts_of
from tests.llm_server import MODEL, serve_llm

BUDGET, SHORTER = 160, 80
SHORT_ONES = 6  # requests of one line for each conversation that the embedded model is asked about
TOGETHER = ("complexity", "intent")


def short(prompt: CompiledPrompt) -> CompiledPrompt:
    """The same task with its question and labels alone."""
    (task,) = prompt.classifier.tasks
    labels = ", ".join(label.name for label in task.labels)
    system = f"# Question\n{task.question} One of: {labels}.\n\n# Answer\nAnswer with one JSON object."
    messages = (PromptMessage("system", system), *(each for each in prompt.messages if each.after is not None))
    marked = fingerprint(messages, prompt.response_schema, prompt.options)
    tokens = sum(count_tokens(each.before + (each.after or "")) for each in messages)
    return replace(prompt, messages=messages, fingerprint=marked, static_tokens=tokens)


def small_model(folder: Path, data: Path, count: int, kept: Kept) -> Iterator[tuple[str, list[Row]]]:
    """SmolLM2 about a few requests of HWU64, and about half as many short ShareGPT conversations."""
    requests = golden("HWU64", folder / "HWU64, SmolLM2", data, count)
    chats = sharegpt(folder / "ShareGPT, SmolLM2", data, max(2, count // 2), TOGETHER, BUDGET)
    requests, chats = (
        replace(one, prompts={name: short(prompt) for name, prompt in one.prompts.items()}) for one in (requests, chats)
    )  # fmt: skip
    known = sure_of(requests)
    packs = (SINGLE, Way(cascade=True), Way(pack=2), Way(pack=4))
    texts = (SINGLE, Way(max_tokens=SHORTER), Way(combine=True), Way(max_tokens=SHORTER, combine=True))
    with serve_llm() as base_url:
        plan = plan_to(base_url, MODEL, in_flight=1)
        for one, ways in ((requests, packs), (chats, texts)):
            recorded = record(one, plan, (ways,), known=known, kept=kept)
            share = len(known.get("hwu_scenario", ())) / len(one.sample)
            yield f"{one.name}, SmolLM2: {len(one.sample)} conversations", rows_of(recorded, share)


def embedded_model(folder: Path, data: Path, count: int, kept: Kept) -> Iterator[tuple[str, list[Row]]]:
    """The embedded model; tokens are those of the transcripts that it reads."""
    plan = RequestPlan(
        (EndpointSettings(name="embedded", kind="embedded"),), RequestSettings(), "unused", local_model=zero_shot.load
    )  # fmt: skip
    for one in (
        sharegpt(folder / "ShareGPT, embedded", data, count),
        *(golden(name, folder / f"{name}, embedded", data, SHORT_ONES * count) for name in GOLDEN),
    ):
        known = sure_of(one) if one.others else {}
        texts = texts_of(one.sample.budgets, compress=one.sample.compresses)
        ways = (*texts, *([Way(cascade=True)] if known else []))
        recorded = record(one, plan, (ways,), known=known, kept=kept)
        told = len(next(iter(known.values()), ())) / len(one.sample)
        for way, each in recorded.measured.items():
            recorded.measured[way] = replace(each, input_tokens=_read(one, way, told))
        yield f"{one.name}, embedded model: {len(one.sample)} conversations", rows_of(recorded, told)


def _read(data: Data, way: Way, told: float) -> int:
    """Tokens of the transcripts that are judged."""
    left = 1 - told if way.cascade else 1.0
    return round(data.sample.tokens(way) * len(data.prompts) * left)

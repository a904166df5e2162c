"""Small builders for packs: prompts of two colours, conversations, a scripted server's company."""

from __future__ import annotations

import dataclasses
from typing import Any

import pyarrow as pa

from semtel_dagster import tables
from semtel_dagster.classifiers import Classifier, CompiledPrompt, Label, PromptMessage, Task
from semtel_dagster.packing.asking import AskInCompany, Company
from semtel_dagster.packing.packs import Conversation
from semtel_dagster.prompts.fingerprint import fingerprint
from semtel_dagster.prompts.schema import response_schema
from semtel_dagster.reducers import PackSettings
from semtel_dagster.requests.figures import Figures
from semtel_dagster.requests.plan import RequestPlan
from tests.requests.builders import batches, hash_of

COLOURS, SHAPES = ("red", "green", "blue", "white"), ("round", "square", "flat")
SLOT = {"before": "Transcript:\n\n", "after": "\n\nEnd of the transcript. Answer with the JSON object only."}
LABELS = {"colour": COLOURS, "shape": SHAPES}


def prompt(name: str = "colour", question: str = "Which one?") -> CompiledPrompt:
    """A classifier of one task, whose single prompt has the same slot as a combined one."""
    labels = tuple(Label(name=label, definition=f"It is {label}.") for label in LABELS[name])
    classifier = Classifier(
        name=name, description="", tasks=(Task(name=name, question=question, labels=labels),)
    )  # fmt: skip
    messages = (PromptMessage("system", f"# Question\n{question} {name}"), PromptMessage("user", *SLOT.values()))
    schema, options = response_schema(classifier), {"temperature": 0, "max_tokens": 20}
    return CompiledPrompt(classifier, messages, schema, options, fingerprint(messages, schema, options), 12)


PROMPTS = {name: prompt(name) for name in LABELS}


def transcripts(count: int) -> list[str]:
    """So many different quoted transcripts."""
    return [f"user:\n> question {number}\nassistant:\n> answer {number % 7}" for number in range(count)]


def conversation(number: int, n_tokens: int = 20, lacks: tuple[str, ...] = ("colour",)) -> Conversation:
    """A conversation to be asked about."""
    text = transcripts(number + 1)[-1]
    return Conversation(hash_of(text), text, n_tokens, lacks)


def truth(texts: list[str]) -> dict[str, dict[str, str]]:
    """What is true about each transcript, so that a swapped answer is seen."""
    return {
        hash_of(text): {"colour": COLOURS[at % len(COLOURS)], "shape": SHAPES[at // 4 % len(SHAPES)]}
        for at, text in enumerate(texts)
    }


def ask(
    plan: RequestPlan,
    texts: list[str],
    target: str = "colour",
    prompts: dict[str, CompiledPrompt] | None = None,
    **pack: Any,
) -> tuple[pa.Table, Figures]:
    """Asks in company; the responses in order of content hash and the last figures."""
    figures: list[Figures] = []
    company = Company(prompts or {"colour": PROMPTS["colour"]}, PackSettings(**pack))
    function = AskInCompany(target, company, plan, figures.append, len(texts))
    table = pa.Table.from_batches(list(function(batches(texts))), schema=tables.RESPONSES)
    return table.sort_by("content_hash"), figures[-1]


def total(table: pa.Table, column: str) -> int:
    """A column's sum."""
    return int(pa.compute.sum(table[column]).as_py() or 0)


def changed(a_prompt: CompiledPrompt, question: str) -> CompiledPrompt:
    """The same classifier after its question was edited."""
    return dataclasses.replace(prompt(a_prompt.classifier.name, question))

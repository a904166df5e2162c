"""Small builders for tunings: conversations, a server whose labels get worse in company, a project with tables."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from semtel_dagster.loopback.script import Script
from semtel_dagster.prompts.loader import load_classifiers
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import EndpointSettings, Price, RequestSettings, Settings
from semtel_dagster.transcript import Turn, content_hash
from semtel_dagster.tuning.running import Tuning
from semtel_dagster.tuning.sample import Sample
from semtel_dagster.tuning.ways import SINGLE, texts_of

NAMES = ("complexity", "intent")
PROMPTS = load_classifiers(names=NAMES)
SLOT = {"before": "Transcript:\n\n", "after": "\n\nEnd of the transcript. Answer with the JSON object only."}
PRICE = Price(input=1.0, cached_input=0.5, output=4.0)
WEEK = "2026-10-05"


def turns(number: int, words: int = 12) -> list[Turn]:
    """A conversation; no two are alike."""
    asked = f"Question {number}: " + " ".join(f"thing{number * 31 + at}" for at in range(words))
    return [Turn("user", asked), Turn("assistant", f"Answer {number * 7919}.")]


def sample(storage: Path, count: int, words: int = 12) -> Sample:
    """So many conversations."""
    settings = Settings(storage=str(storage), classifiers=NAMES)
    return Sample({f"c{number:04}": turns(number, words) for number in range(count)}, settings)


def script(a_sample: Sample, spoiled: float = 0.0, **packs: float) -> Script:
    """A server that knows the labels of every transcript; a cut one has another label in a share of cases."""
    told: dict[str, dict[str, str]] = {}
    for text in texts_of(a_sample.budgets, compress=a_sample.compresses, keeps=a_sample.keeps):
        cases = a_sample.cut(text).hashes
        for number, (case, key) in enumerate(sorted(cases.items())):
            shift = int(text != SINGLE and number < spoiled * len(cases))
            told[key] = {name: _label(name, int(case[1:]) + shift) for name in NAMES}
    return Script(answers={"style": "confusion", "truth": told, "accuracy": 1.0}, slot=SLOT, packs=packs)


def _label(name: str, number: int) -> str:
    (task,) = PROMPTS[name].classifier.tasks
    return task.labels[number % len(task.labels)].name


def plan(base_url: str) -> RequestPlan:
    """One endpoint with a price."""
    endpoint = EndpointSettings(name="one", base_url=base_url, model="m", price=PRICE)
    return RequestPlan((endpoint,), RequestSettings(max_in_flight=16), "unused", hedge=False)


def tuning(a_sample: Sample, base_url: str, **fields: object) -> Tuning:
    """Both classifiers on that server."""
    return Tuning(a_sample, PROMPTS, plan(base_url), **fields)


def write_tables(storage: Path, count: int) -> None:
    """The two tables that a sample is drawn from, of one prepared week."""
    rows = [
        {
            "conversation_id": f"c{number:04}",
            "content_hash": content_hash(f"text {number}"),
            "messages": [{"role": turn.role, "content": turn.content} for turn in turns(number)],
        }
        for number in range(count)
    ]
    for name, columns in (
        ("distinct_conversations", ["conversation_id", "content_hash"]),
        ("sampled_conversations", ["conversation_id", "messages"]),
    ):
        folder = storage / name / f"week={WEEK}"
        folder.mkdir(parents=True)
        pl.DataFrame(rows).select(columns).write_parquet(folder / "part-0.parquet")

"""Asking about a sample in one way, through the request engine and a journal of its own.

Belongs here: one way, once. Each repeat has a journal of its own, since a repeat must be asked anew, and so has each
way with packs, since an answer in company is filed without the size of its company, and packs must be formed as a run
would form them. Ways without packs share: a transcript that is the same in both is asked once. Asked again, a way costs
nothing. Who answers without a call is worked out in `students`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.evaluation.records import write_whole
from semtel_dagster.packing.asking import asking, company_of
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.requests.figures import Figures
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import Settings
from semtel_dagster.trials.cases import Cases
from semtel_dagster.tuning.said import NOTHING, Known, Labels, Said, labels_of, plus, require_answers
from semtel_dagster.tuning.sample import Sample
from semtel_dagster.tuning.ways import Way, groups_of

FOLDER = "tuning"
SPENT = ("calls", "input_tokens", "cached_tokens", "output_tokens", "seconds")
Watch = Callable[[Figures], None]


def ask(
    way: Way,
    sample: Sample,
    prompts: Mapping[str, CompiledPrompt],
    plan: RequestPlan,
    *,
    repeat: int = 0,
    watch: Watch | None = None,
    known: Known = NOTHING,
) -> Said:
    """Asks every prompt about every conversation, or about every one that no student answers.

    Args:
        way: How.
        sample: About what.
        prompts: The classifiers' prompts.
        plan: The endpoints; its journal is replaced.
        repeat: A number; each is asked anew, and forms other packs.
        watch: Gets live figures.
        known: What students answer, where the way is one with a cascade.

    Raises:
        SettingsError: No endpoint can be called as it is configured, or the prompts do not go together.
        EndpointError: Too many conversations got no answer; nothing is judged by what an endpoint lacked.
    """
    cases = sample.cut(way)
    sure = known if way.cascade else NOTHING
    settings = way.settings(sample.settings, groups_of(list(prompts)), repeat)
    folder = Path(sample.settings.storage, FOLDER, "journal", f"{_kind(way, settings, sure)}-{repeat}")
    there = replace(plan, journal=str(folder))
    said, rows = Said({}), 0
    asked: list[Figures] = []
    for name, prompt in prompts.items():
        last = [Figures()]

        def see(figures: Figures, last: list[Figures] = last) -> None:
            last[0] = figures
            if watch is not None:
                watch(figures)

        company = company_of(settings, dict(prompts), name)
        told = sure.get(name, {})
        texts = _without(cases, told)
        function = asking(ClassifyBatches(prompt, there, see, texts.num_rows), company)
        responses = list(function(iter(texts.combine_chunks().to_batches()))) if texts.num_rows else []
        require_answers(f"{name}, {way.name}", responses)
        labels = labels_of(prompt, there, responses, cases.hashes)
        said = plus(said, responses, last[0], _with(labels, prompt, told))
        asked.append(last[0])
        rows += texts.num_rows
    said = _remembered(said, asked, folder, f"{way.name} / {len(sample)}{_digest(sure)}")
    if way.pack > 1:
        return said
    # What another way without packs has asked already would be a call in a run that goes this way.
    return replace(said, calls=max(said.calls, _calls_alone(way, list(prompts), rows)))


def _calls_alone(way: Way, names: list[str], rows: int) -> int:
    """Calls without packs, of so many questions about a conversation."""
    groups = groups_of(names) if way.combine else ()
    together = sum(len(group) - 1 for group in groups)
    return rows * (len(names) - together) // len(names)


def _without(cases: Cases, told: Mapping[str, tuple[str, ...]]) -> pa.Table:
    """The transcripts of conversations that no student answers."""
    hashes = pa.array([cases.hashes[case] for case in told], cases.texts.schema.field("content_hash").type)
    return cases.texts.filter(pc.invert(pc.is_in(cases.texts["content_hash"], value_set=hashes)))


def _with(labels: Labels, prompt: CompiledPrompt, told: Mapping[str, tuple[str, ...]]) -> Labels:
    """The labels together with a student's."""
    return {
        task.name: {**labels[task.name], **{case: names[at] for case, names in told.items()}}
        for at, task in enumerate(prompt.classifier.tasks)
    }


def _kind(way: Way, settings: Settings, sure: Known) -> str:
    """Which ways share a journal."""
    company = "together" if way.combine else "apart"
    if way.pack == 1:
        return company
    kept = f"-kept-{way.keep}" if way.keep else ""
    checked = {True: "-graded", "again": "-again"}.get(settings.pack.grade, "")
    text = f"{settings.truncate.max_tokens}{'-compressed' if way.compress else ''}{kept}"
    return f"{company}-{way.pack}{checked}-{text}{_digest(sure)}"


def _digest(sure: Known) -> str:
    """Names what students answer: packs of the rest are others when the rest is."""
    if not sure:
        return ""
    return "-" + blake2b(json.dumps(sure, sort_keys=True).encode(), digest_size=6).hexdigest()


def _remembered(said: Said, asked: list[Figures], folder: Path, key: str) -> Said:
    """With what the calls took that rows do not tell of: those of earlier times, and those that were not believed."""
    path = folder / "spent.json"
    known: dict[str, dict[str, float]] = json.loads(path.read_bytes()) if path.is_file() else {}
    before = known.get(key, {})
    spent = {
        name: before.get(name, 0) + sum(getattr(figures, name) for figures in asked if figures.calls) for name in SPENT
    }
    if said.made:
        write_whole(path, json.dumps({**known, key: spent}).encode())
    more: dict[str, Any] = {name: max(getattr(said, name), spent[name]) for name in SPENT}
    return replace(said, **more)

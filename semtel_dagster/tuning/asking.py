"""Asking about a sample in one way, through the request engine and a journal of its own.

Belongs here: one way, once. Each repeat has a journal of its own, since a repeat must be asked anew, and so has each
way with packs, since an answer in company is filed without the size of its company, and packs must be formed as a run
would form them. Ways without packs share: a transcript that is the same in both is asked once. Asked again, a way costs
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from semtel_dagster import tables
from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.errors import EndpointError
from semtel_dagster.evaluation.records import write_whole
from semtel_dagster.packing.asking import asking, company_of
from semtel_dagster.repair import parser_for
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.requests.figures import Figures
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import Settings
from semtel_dagster.tuning.sample import Sample
from semtel_dagster.tuning.ways import Way, groups_of

FOLDER = "tuning"
MOST_UNANSWERED = 0.1
Watch = Callable[[Figures], None]
Labels = Mapping[str, Mapping[str, str | None]]
"""By task, then conversation_id; None where the answer is invalid or missing."""


@dataclass(frozen=True)
class Said:
    """What came of asking about a sample in one way.

    Attributes:
        labels: The answers.
        calls: Calls that the answers took, whenever they were made.
        input_tokens: Prompt tokens of the answers, likewise the others.
        cached_tokens: Of these, served from a prompt cache.
        output_tokens: Completion tokens.
        seconds: How long asking took, whenever it was done.
        made: Of the calls, those made now.
    """

    labels: Labels
    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    made: int = 0


def ask(
    way: Way,
    sample: Sample,
    prompts: Mapping[str, CompiledPrompt],
    plan: RequestPlan,
    *,
    repeat: int = 0,
    watch: Watch | None = None,
) -> Said:
    """Asks every prompt about every conversation.

    Args:
        way: How.
        sample: About what.
        prompts: The classifiers' prompts.
        plan: The endpoints; its journal is replaced.
        repeat: A number; each is asked anew, and forms other packs.
        watch: Gets live figures.

    Raises:
        SettingsError: No endpoint can be called as it is configured, or the prompts do not go together.
        EndpointError: Too many conversations got no answer; nothing is judged by what an endpoint lacked.
    """
    cases = sample.cut(way)
    settings = way.settings(sample.settings, groups_of(list(prompts)), repeat)
    folder = Path(sample.settings.storage, FOLDER, "journal", f"{_kind(way, settings)}-{repeat}")
    there = replace(plan, journal=str(folder))
    said = Said({})
    for name, prompt in prompts.items():
        last = [Figures()]

        def see(figures: Figures, last: list[Figures] = last) -> None:
            last[0] = figures
            if watch is not None:
                watch(figures)

        company = company_of(settings, dict(prompts), name)
        function = asking(ClassifyBatches(prompt, there, see, cases.texts.num_rows), company)
        responses = list(function(iter(cases.texts.combine_chunks().to_batches())))
        _require_answers(f"{name}, {way.name}", responses)
        said = _add(said, responses, last[0], _labels(prompt, there, responses, cases.hashes))
    said = _remembered(said, folder, way, sample)
    if way.pack > 1:
        return said
    # What another way without packs has asked already would be a call in a run that goes this way.
    return replace(said, calls=max(said.calls, cases.texts.num_rows * _kinds_of_calls(way, list(prompts))))


def _kinds_of_calls(way: Way, names: list[str]) -> int:
    """Calls about a conversation without packs."""
    groups = groups_of(names) if way.combine else ()
    return len(names) - sum(len(group) - 1 for group in groups)


def _kind(way: Way, settings: Settings) -> str:
    """Which ways share a journal."""
    company = "together" if way.combine else "apart"
    if way.pack == 1:
        return company
    text = f"{settings.truncate.max_tokens}{'-compressed' if way.compress else ''}"
    return f"{company}-{way.pack}{'-graded' if settings.pack.grade else ''}-{text}"


def _labels(
    prompt: CompiledPrompt, plan: RequestPlan, responses: list[pa.RecordBatch], hashes: Mapping[str, str]
) -> dict[str, dict[str, str | None]]:
    parser = parser_for(prompt.classifier, plan.requests)
    rows = [row for batch in parser(iter(responses)) for row in batch.to_pylist()]
    found: dict[str, dict[str, str | None]] = {}
    for task in prompt.classifier.tasks:
        by_hash = {row["content_hash"]: row["label"] for row in rows if row["task"] == task.name}
        found[task.name] = {case: by_hash.get(key) for case, key in hashes.items()}
    return found


def _add(said: Said, responses: list[pa.RecordBatch], figures: Figures, labels: Labels) -> Said:
    table = pa.Table.from_batches(responses, schema=tables.RESPONSES)
    made = max(figures.calls, _sum(table, "attempts"))  # with those of repairs, and those without an answer
    return Said(
        {**said.labels, **labels},
        said.calls + made,
        said.input_tokens + _sum(table, "input_tokens"),
        said.cached_tokens + _sum(table, "cached_tokens"),
        said.output_tokens + _sum(table, "output_tokens"),
        said.seconds + (figures.seconds if made else 0.0),
        said.made + made,
    )


def _sum(table: pa.Table, column: str) -> int:
    return int(pc.sum(table.column(column)).as_py() or 0)


def _remembered(said: Said, folder: Path, way: Way, sample: Sample) -> Said:
    """With the calls and seconds of earlier times, which rows from the journal no longer carry."""
    key = f"{way.name} / {len(sample)}"
    path = folder / "made.json"
    known: dict[str, list[float]] = json.loads(path.read_bytes()) if path.is_file() else {}
    calls, seconds = known.get(key, [0, 0.0])
    together = replace(said, calls=int(calls) + said.made, seconds=seconds + said.seconds)
    if said.made:
        write_whole(path, json.dumps({**known, key: [together.calls, together.seconds]}).encode())
    return together


def _require_answers(title: str, responses: list[pa.RecordBatch]) -> None:
    table = pa.Table.from_batches(responses, schema=tables.RESPONSES)
    unanswered = table.num_rows - _sum(table.append_column("ok", pc.equal(table["status"], "answered")), "ok")
    if unanswered > MOST_UNANSWERED * table.num_rows:
        raise EndpointError(
            f"{title}: {unanswered} of {table.num_rows} conversations got no answer, so nothing was judged; see: "
            "semtel check. The answers that came are kept for the next try"
        )

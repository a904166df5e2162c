"""Evaluations as they are kept: one JSON file each under `<storage>/evaluations/<classifier>/`, never changed.

A record holds figures, labels by case id and content hash, and no conversation text. What is measured belongs in
`agreement`, `drift` and `stability`; who accepted what, in `gate`.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from semtel_dagster.evaluation.agreement import Agreement, Estimate, Paired
from semtel_dagster.evaluation.drift import Drift
from semtel_dagster.evaluation.injections import Robustness
from semtel_dagster.evaluation.stability import Stability

logger = logging.getLogger(__name__)

FOLDER = "evaluations"
ACCEPTED = "accepted"

Labels = dict[str, dict[str, str | None]]
"""Labels by task, then by golden case or content hash; None where there is none."""


@dataclass(frozen=True)
class Usage:
    """What the answers took.

    Attributes:
        conversations: Asked about, each repeat counted.
        from_journal: Of these, answered in an earlier evaluation: no call now.
        cost_usd: Of the calls made now.
        usd_per_thousand: By the tokens of all answers, whoever paid; None without a price.
        latency_median_s: Of the calls behind the answers, likewise `latency_p90_s`; None without calls.
    """

    conversations: int = 0
    calls: int = 0
    refused: int = 0
    from_journal: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    usd_per_thousand: float | None = None
    latency_median_s: float | None = None
    latency_p90_s: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Annotators:
    """How far the people agree: cases with several annotators, and Krippendorff's alpha over them."""

    cases: int
    alpha: Estimate


@dataclass(frozen=True)
class TaskResult:
    """One task's figures.

    Attributes:
        n_gold: Golden cases compared.
        agreement: With gold; None without golden cases.
        annotators: Among the people; None unless a case has several.
        paired: Against the baseline, on golden cases that both answered.
        drift: From the baseline's labels of the same conversations, which `drift_on` names.
        stability: Over repeats.
        statuses: Answers by label_status.
        shares: Of the labels among all conversations of the sample (of the golden cases without a sample).
    """

    task: str
    labels: tuple[str, ...]
    ordinal: bool
    n_gold: int = 0
    agreement: Agreement | None = None
    annotators: Annotators | None = None
    paired: Paired | None = None
    drift: Drift | None = None
    drift_on: str = ""
    stability: Stability | None = None
    statuses: Mapping[str, int] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """A classifier's prompt, asked of a model, measured.

    Attributes:
        id: `<classifier>/<file name without its suffix>`.
        model: The model's name in the settings, or "embedded".
        answered_by: The model's name as it is recorded with each answer.
        gold: Fingerprint of the golden labels that were compared; empty without.
        baseline: The id of the evaluation compared with.
        verdict: aligned, shifted or worse; `reasons` say why.
        notes: What a reader must know besides: cases not found, a small sample.
        injections: How the tasks withstand attacks, if that was measured.
        golden_labels: The answers to golden cases.
        sample_labels: The answers to the sample, by content hash.
    """

    id: str
    classifier: str
    fingerprint: str
    parser_fingerprint: str
    model: str
    answered_by: str
    endpoints: tuple[str, ...]
    made_at: dt.datetime
    gold: str
    n_sample: int
    repeats: int
    tasks: tuple[TaskResult, ...]
    usage: Usage
    verdict: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()
    baseline: str | None = None
    injections: tuple[Robustness, ...] = ()
    golden_labels: Labels = field(default_factory=dict)
    sample_labels: Labels = field(default_factory=dict)


_EVALUATION = TypeAdapter(Evaluation)


def new_id(classifier: str, fingerprint: str, model: str, made_at: dt.datetime) -> str:
    """An id that sorts by time and names prompt and model."""
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", model).strip("-")[:40]
    return f"{classifier}/{made_at:%Y%m%dT%H%M%S%f}-{fingerprint[:8]}-{slug}"


def folder_of(storage: str) -> Path:
    """Where evaluations, their acceptances and their journal lie."""
    return Path(storage) / FOLDER


def save(storage: str, evaluation: Evaluation) -> Path:
    """Writes a record, whole or not at all."""
    path = folder_of(storage) / f"{evaluation.id}.json"
    write_whole(path, _EVALUATION.dump_json(evaluation, indent=1))
    return path


def load(storage: str, classifier: str) -> list[Evaluation]:
    """A classifier's evaluations, the oldest first; a file that is not readable as one is left out."""
    found = []
    for path in sorted((folder_of(storage) / classifier).glob("*.json")):
        try:
            found.append(_EVALUATION.validate_json(path.read_bytes()))
        except ValidationError:
            logger.warning("%s is not readable as an evaluation and is left out", path)
    return found


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that a reader sees all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)

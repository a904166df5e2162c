"""Students for a tuning: trained on stored labels of other conversations, they answer what they are sure of.

Belongs here: training them without the sample, and what they say about it. A student's own promise is kept in
`cascade`; here it only sets from which confidence on it answers. What it does to the agreement, together with the
model's answers to the rest, is measured on the sample as for every other way: the sample took no part in the training
or in choosing the threshold, so its conversations are to the student like those of a coming week.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from semtel_dagster.cascade.chosen import ASKED_ANYWAY, chosen
from semtel_dagster.cascade.examples import VECTORS_TABLE, vectors_of, weeks_with_labels
from semtel_dagster.cascade.standing import examples_of, tasks_of
from semtel_dagster.cascade.store import save
from semtel_dagster.cascade.training import Trained, train
from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.errors import SettingsError
from semtel_dagster.settings import Settings
from semtel_dagster.tuning.said import Known
from semtel_dagster.tuning.sample import Sample
from semtel_dagster.tuning.ways import SINGLE


@dataclass(frozen=True)
class Students:
    """Who may answer in the place of the model.

    Attributes:
        trained: By classifier; only those that promise something.
        known: What they are sure of in the sample.
        notes: Why a classifier has none.
    """

    trained: Mapping[str, Trained] = field(default_factory=dict)
    known: Known = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def keep(self, storage: str) -> None:
        """Makes them the newest students of their classifiers: those that were measured will answer."""
        for name, trained in self.trained.items():
            save(storage, name, trained)


NOBODY = Students()


def students_of(sample: Sample, prompts: Mapping[str, CompiledPrompt], agreement: float, confidence: float) -> Students:
    """Trains a student for every classifier with stored labels enough, on conversations outside the sample.

    Args:
        sample: The conversations that it is judged by.
        prompts: The classifiers' prompts.
        agreement: With the teacher, that each student has to promise.
        confidence: Of that promise.
    """
    options = sample.settings.cascade.model_copy(update={"agreement": agreement, "confidence": confidence})
    settings = sample.settings.model_copy(update={"cascade": options})
    trained, known, notes = {}, {}, []
    for name, prompt in prompts.items():
        try:
            student = _train(settings, prompt, sample)
        except SettingsError as error:
            notes.append(f"No student was tried for {name}: {error}.")
            continue
        told = _sure(sample, student)
        if told:
            trained[name], known[name] = student, told
        else:
            notes.append(f"No student was tried for {name}: it is sure of nothing at an agreement of {agreement:.1%}.")
    return Students(trained, known, tuple(notes))


def _train(settings: Settings, prompt: CompiledPrompt, sample: Sample) -> Trained:
    name = prompt.classifier.name
    if any(task.score for task in prompt.classifier.tasks):
        raise SettingsError("it asks for a score, and students give labels only")
    found = examples_of(settings, prompt, weeks_with_labels(settings.storage, name))
    if found is None:
        raise SettingsError("no week has labels of this prompt and stored embeddings")
    tried = set(sample.cut(SINGLE).hashes.values())
    outside = np.array([each not in tried for each in found.content_hashes], dtype=np.bool_)
    return train(found.where(outside), tasks_of(prompt), prompt.fingerprint, settings.cascade)


def _sure(sample: Sample, trained: Trained) -> dict[str, tuple[str, ...]]:
    """The student's labels of those conversations that it would answer in a run: by conversation, one per task."""
    hashes = sample.cut(SINGLE).hashes
    wanted = list(set(hashes.values()))
    parts = sorted(Path(sample.settings.storage, VECTORS_TABLE).glob("week=*/*.parquet"))
    stored = pl.scan_parquet(parts, hive_partitioning=False, glob=False)
    rows = (
        stored.filter(pl.col("content_hash").is_in(wanted), pl.col("model") == trained.embedding)
        .select("content_hash", "embedding")
        .unique("content_hash")
        .sort("content_hash")
        .collect()
    )
    rows = rows.filter(~pl.Series(chosen(rows["content_hash"], trained.random_share, ASKED_ANYWAY), dtype=pl.Boolean))
    if not rows.height:
        return {}
    said = trained.student.predict(vectors_of(rows["embedding"]))
    names = trained.student.names(said.labels)
    sure = trained.answers(said)
    told = {key: labels for key, labels, may in zip(rows["content_hash"], names, sure, strict=True) if may}
    return {case: told[key] for case, key in hashes.items() if key in told}

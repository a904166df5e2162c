"""Training: rows that a teacher labelled become a student with thresholds that keep a promise.

Belongs here: which row is for what, and the record of what came out. Reading rows from tables belongs in `examples`.

Rows are split by hash: some are held out for the guarantee and touch nothing else, some tune the temperatures, the
rest is fitted on. The guarantee needs held-out rows that are like those the student will answer. In a week that was
asked whole each row is; in a week that a cascade answered only those that were asked anyway are, since the teacher saw
of the others just the ones the student was unsure of. Those are fitted on, and judge nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semtel_dagster.cascade.chosen import HELD_OUT, TUNED_ON, places
from semtel_dagster.cascade.fitting import calibrated, fit
from semtel_dagster.cascade.guarantee import Bound, choose, choose_by_label
from semtel_dagster.cascade.student import Prediction, Student
from semtel_dagster.errors import SettingsError
from semtel_dagster.reducers import CascadeSettings

TUNED_SHARE = 0.1
ALL_LABELS = ""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Examples:
    """Rows that a teacher labelled.

    Attributes:
        content_hashes: Distinct.
        vectors: Their embeddings, shape [n, d].
        taught: Their labels, one per task.
        honest: Whether a row stands for its week by chance alone, and not for what a student was unsure of; shape [n].
        whole: Whether its week was asked whole, shape [n].
        embedding: The model that made the vectors.
        weeks: Which weeks they come from.
    """

    content_hashes: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    taught: tuple[tuple[str, ...], ...]
    honest: Bools
    whole: Bools
    embedding: str
    weeks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.content_hashes)

    def where(self, rows: Bools) -> Examples:
        """Some of the rows."""
        at = np.flatnonzero(rows).tolist()
        return Examples(
            tuple(self.content_hashes[each] for each in at),
            self.vectors[rows],
            tuple(self.taught[each] for each in at),
            self.honest[rows],
            self.whole[rows],
            self.embedding,
            self.weeks,
        )


@dataclass(frozen=True)
class Trained:
    """A student, and from which confidence on it answers.

    Attributes:
        student: The model.
        bounds: By predicted label of the only task, or under `ALL_LABELS` for all of them.
        agreement: What is promised.
        confidence: Of the promise.
        version: 16 hex digits over prompt, rows and options.
        prompt_fingerprint: The prompt whose answers it learned.
        embedding: The model that made its vectors.
        random_share: The share that is asked anyway.
        fitted: Rows it was fitted on.
        weeks: Where its rows come from.
    """

    student: Student
    bounds: dict[str, Bound]
    agreement: float
    confidence: float
    version: str
    prompt_fingerprint: str
    embedding: str
    random_share: float
    fitted: int
    weeks: tuple[str, ...] = ()

    @property
    def held_out(self) -> int:
        """Rows that the guarantee rests on."""
        return sum(bound.rows for bound in self.bounds.values())

    @property
    def coverage(self) -> float:
        """The share of held-out rows that it would answer."""
        return sum(bound.answered for bound in self.bounds.values()) / self.held_out if self.held_out else 0.0

    @property
    def observed(self) -> float | None:
        """Its agreement on these; None where it would answer none."""
        answered = sum(bound.answered for bound in self.bounds.values())
        return sum(bound.agreeing for bound in self.bounds.values()) / answered if answered else None

    def answers(self, predicted: Prediction) -> Bools:
        """Which rows it is sure enough about, shape [n]."""
        never = np.inf
        if ALL_LABELS in self.bounds:
            threshold = self.bounds[ALL_LABELS].threshold
            return predicted.scores >= (never if threshold is None else threshold)
        found = [self.bounds[label].threshold for label in self.student.heads[0].labels]
        thresholds = np.array([never if each is None else each for each in found])
        return np.asarray(predicted.scores >= thresholds[predicted.labels[:, 0]], dtype=np.bool_)


def train(examples: Examples, tasks: Sequence[str], prompt_fingerprint: str, options: CascadeSettings) -> Trained:
    """Fits, calibrates and chooses thresholds.

    Args:
        examples: What the teacher said.
        tasks: The classifier's tasks.
        prompt_fingerprint: The prompt's, part of the version.
        options: What is promised, and which model.

    Raises:
        SettingsError: There are too few rows to fit or to promise anything; the message says how many are needed.
    """
    if options.by_label and len(tasks) > 1:
        raise SettingsError(f"cascade.by_label needs a classifier with one task, and this one has {len(tasks)}")
    held_out, tuned = split(examples, options.held_out)
    fitted = ~held_out & ~tuned
    if min(int(fitted.sum()), int(held_out.sum())) < options.min_examples:
        raise SettingsError(
            f"the cascade has {int(fitted.sum()):,} labelled conversations to learn from and {int(held_out.sum()):,} "
            f"to hold out, and needs {options.min_examples:,} of each: label more weeks first, or lower "
            "cascade.min_examples"
        )
    learned, tuning, judged = (examples.where(rows) for rows in (fitted, tuned, held_out))
    student = fit(options.model, tasks, learned.vectors, learned.taught, options.seed)
    student = calibrated(student, tuning.vectors, tuning.taught)
    return Trained(
        student=student,
        bounds=bounds_of(student, judged, options),
        agreement=options.agreement,
        confidence=options.confidence,
        version=version_of(examples, prompt_fingerprint, options),
        prompt_fingerprint=prompt_fingerprint,
        embedding=examples.embedding,
        random_share=options.random_share,
        fitted=len(learned),
        weeks=examples.weeks,
    )


def split(examples: Examples, held_out: float) -> tuple[Bools, Bools]:
    """Which rows are held out, and which tune the temperatures, by hash.

    Of weeks that were asked whole a share is held out; of others all that were asked anyway, which are few.
    """
    first = examples.honest & ((places(examples.content_hashes, HELD_OUT) < held_out) | ~examples.whole)
    tuned = ~first & examples.whole & (places(examples.content_hashes, TUNED_ON) < TUNED_SHARE)
    return first, tuned


def bounds_of(student: Student, judged: Examples, options: CascadeSettings) -> dict[str, Bound]:
    """The thresholds that held-out rows allow."""
    predicted = student.predict(judged.vectors)
    agrees = student.agrees(predicted.labels, judged.taught)
    error = 1 - options.confidence
    if not options.by_label:
        return {ALL_LABELS: choose(predicted.scores, agrees, options.agreement, error)}
    labels = student.heads[0].labels
    return choose_by_label(labels, predicted.labels[:, 0], predicted.scores, agrees, options.agreement, error)


def version_of(examples: Examples, prompt_fingerprint: str, options: CascadeSettings) -> str:
    """16 hex digits over what a student follows from: rows, labels, vectors' model, prompt and options."""
    digest = hashlib.blake2b(digest_size=8)
    fixed = options.model_dump_json(exclude={"classifiers"})
    for word in (prompt_fingerprint, fixed, examples.embedding):
        digest.update(word.encode() + b"\n")
    for content_hash, labels in sorted(zip(examples.content_hashes, examples.taught, strict=True)):
        digest.update("\t".join((content_hash, *labels)).encode() + b"\n")
    return digest.hexdigest()

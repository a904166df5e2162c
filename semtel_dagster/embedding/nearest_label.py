"""The label whose definition is nearest to a word that is none of the labels, where only one is near.

Static vectors tell subjects and purposes apart, not opposites ("unprofessional" lies beside "professional"), so ordinal
tasks are left alone, as are values with figures. Reading answers belongs in `labels`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from semtel_dagster.classifiers import Task
from semtel_dagster.embedding.label_scores import LabelScores, label_scores
from semtel_dagster.embedding.semantic import SemanticSpace, semantic_space
from semtel_dagster.embedding.static_vectors import VERSION

# In standard deviations of the background, summed over three similarities. Chosen on 177 values that were written for
# it, of which they pass 59 and 56 are right; of 59 others (tests/embedding/unknown_values.jsonl) see the tests.
MIN_SCORE = 16.0
MIN_MARGIN = 8.0
LONGEST_VALUE = 60
MOST_WORDS = 6

_UNFIT = re.compile(r"[\d{}<>\[\]=|]|https?:")


@dataclass(frozen=True)
class NearestLabels:
    """Finds labels by the embedded vectors; picklable.

    Attributes:
        min_score: How near the nearest label must be.
        min_margin: How much nearer it must be than the next.
    """

    min_score: float = MIN_SCORE
    min_margin: float = MIN_MARGIN

    @property
    def fingerprint(self) -> str:
        """The vectors and the limits."""
        return f"nearest-1 {VERSION} {self.min_score:g} {self.min_margin:g}"

    def finder(self, task: Task) -> NearestLabel | None:
        """The judge of a task's labels; None where their order carries the meaning, or where there is one only."""
        if task.ordinal or len(task.labels) < 2:
            return None
        space = semantic_space()
        return NearestLabel(self, task, label_scores(task.labels, space), space)


@dataclass(frozen=True)
class NearestLabel:
    """The labels of one task, and how near is near enough."""

    limits: NearestLabels
    task: Task
    scores: LabelScores
    space: SemanticSpace

    def __call__(self, value: str) -> str | None:
        """The label that a value means by each of the three similarities, clearly before any other; or None."""
        text = " ".join(value.split())
        if not 0 < len(text) <= LONGEST_VALUE or len(text.split()) > MOST_WORDS or _UNFIT.search(text):
            return None
        kinds = np.round(self.scores.by_kind(self.space.embed([text.replace("_", " ")]))[:, 0], 6)
        scores = kinds.sum(axis=0)
        best, second = np.argsort(-scores, kind="stable")[:2]
        near = scores[best] >= self.limits.min_score and scores[best] - scores[second] >= self.limits.min_margin
        # "breakups" is nearest to "business" by its pieces, and to no other by the definition as a whole.
        return self.task.labels[best].name if near and (kinds.argmax(axis=1) == best).all() else None

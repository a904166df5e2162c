"""How well each label of a task fits a vector: similarity to what the prompt file says about the label.

Prototypes come from names, aliases and definitions alone, so any classifier file works. Evidence from how people
talk (acts, signs, level) belongs in `evidence.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semtel_dagster.classifiers import Label
from semtel_dagster.embedding.base import unit_rows
from semtel_dagster.embedding.semantic import Floats, SemanticSpace

_PARTS = re.compile(r"[.;:,]")


def phrases(label: Label) -> list[str]:
    """A label's name, aliases, and definition part by part."""
    parts = [part.strip() for part in _PARTS.split(label.definition)]
    return [label.name, *label.aliases, *(part for part in parts if part)]


@dataclass(frozen=True)
class LabelScores:
    """Scores of labels, on the scale of a background that says nothing about any of them.

    Attributes:
        phrases: Each label's phrases, shape [phrases, d] each.
        means: The means of these, shape [labels, d].
        wholes: Name and definition as one text, shape [labels, d].
        offset: Mean of each of the three similarities per label over the background, shape [3, labels].
        scale: Their standard deviations.
    """

    phrases: tuple[Floats, ...]
    means: Floats
    wholes: Floats
    offset: Floats
    scale: Floats

    def score(self, vectors: Floats) -> Floats:
        """Sum of three standardised similarities (mean phrase, nearest phrase, whole definition): [n, labels]."""
        total: Floats = self.by_kind(vectors).sum(axis=0)
        return total

    def by_kind(self, vectors: Floats) -> Floats:
        """The three standardised similarities themselves: shape [3, n, labels]."""
        standardised: Floats = (self._similarities(vectors) - self.offset[:, None]) / self.scale[:, None]
        return standardised

    def _similarities(self, vectors: Floats) -> Floats:
        nearest = [np.einsum("nd,pd->np", vectors, rows).max(axis=1) for rows in self.phrases]
        mean, whole = (np.einsum("nd,ld->nl", vectors, rows) for rows in (self.means, self.wholes))
        return np.stack([mean, np.stack(nearest, axis=1), whole])


def label_scores(labels: Sequence[Label], space: SemanticSpace) -> LabelScores:
    """Prototypes of some labels, measured against the background."""
    rows = tuple(space.embed(phrases(label)) for label in labels)
    means = unit_rows(np.stack([each.mean(axis=0) for each in rows]))
    wholes = space.embed([f"{label.name} {label.definition}" for label in labels])
    unscaled = LabelScores(rows, means, wholes, np.zeros((3, len(labels))), np.ones((3, len(labels))))
    background = unscaled._similarities(space.background())
    scale = np.maximum(background.std(axis=1), 1e-3)
    return LabelScores(rows, means, wholes, background.mean(axis=1), scale)

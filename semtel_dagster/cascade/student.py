"""The student: a model small enough to be a few arrays, applied with NumPy alone.

Belongs here: from vectors to labels with a calibrated confidence. Fitting belongs in `fitting`, files in `store`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
DECIMALS = 6


@dataclass(frozen=True)
class Layer:
    """A linear map: weights of shape [inputs, outputs], bias of shape [outputs]."""

    weights: Floats
    bias: Floats


@dataclass(frozen=True)
class Head:
    """What answers one task.

    Attributes:
        task: Its name.
        labels: What it can say; a label that no training row had is not among them.
        layers: One for a logistic regression; with rectifiers between them for a network.
        temperature: Divides the scores before they become probabilities (Guo, Pleiss, Sun and Weinberger 2017).
    """

    task: str
    labels: tuple[str, ...]
    layers: tuple[Layer, ...]
    temperature: float = 1.0

    def scores(self, rows: Floats) -> Floats:
        """Scores of shape [n, labels], before the temperature; each row's are the same whatever it comes with."""
        for layer, _ in pairwise(self.layers):
            rows = np.maximum(_linear(rows, layer), 0.0)
        return _linear(rows, self.layers[-1])

    def probabilities(self, rows: Floats) -> Floats:
        """Calibrated probabilities of shape [n, labels]."""
        return softmax(self.scores(rows) / self.temperature)


@dataclass(frozen=True)
class Prediction:
    """What a student says about rows.

    Attributes:
        labels: Positions of the labels, int64 of shape [n, tasks].
        confidences: The probability of each of them, shape [n, tasks].
        scores: The confidence in all of a row's labels together, shape [n], rounded to six decimals.
    """

    labels: npt.NDArray[np.int64]
    confidences: Floats
    scores: Floats


@dataclass(frozen=True)
class Student:
    """A classifier's student: one head per task over standardised vectors.

    Attributes:
        heads: In the order of the classifier's tasks.
        centre: Subtracted from each vector, shape [d].
        scale: Divides what is left, shape [d].
    """

    heads: tuple[Head, ...]
    centre: Floats
    scale: Floats

    def standardised(self, vectors: npt.NDArray[np.floating]) -> Floats:
        """Vectors of shape [n, d] as the heads want them."""
        rows: Floats = (np.asarray(vectors, dtype=np.float64) - self.centre) / self.scale
        return rows

    def predict(self, vectors: npt.NDArray[np.floating]) -> Prediction:
        """The likeliest label of each task.

        The confidence in a row is the product over its tasks: an answer counts as right where all its labels are.

        Args:
            vectors: Stored embeddings, shape [n, d].
        """
        rows = self.standardised(vectors)
        by_head = [head.probabilities(rows) for head in self.heads]
        labels = np.stack([np.argmax(each, axis=1) for each in by_head], axis=1).astype(np.int64)
        best = np.stack([each.max(axis=1) for each in by_head], axis=1)
        return Prediction(labels, best, np.round(np.prod(best, axis=1), DECIMALS))

    def names(self, labels: npt.NDArray[np.int64]) -> list[tuple[str, ...]]:
        """Positions of shape [n, tasks] as names."""
        return [tuple(head.labels[at] for head, at in zip(self.heads, row, strict=True)) for row in labels.tolist()]

    def agrees(self, labels: npt.NDArray[np.int64], taught: Sequence[Sequence[str]]) -> npt.NDArray[np.bool_]:
        """Whether all labels of a row are the teacher's, shape [n]."""
        said = self.names(labels)
        return np.array([mine == tuple(theirs) for mine, theirs in zip(said, taught, strict=True)], dtype=np.bool_)


def softmax(scores: Floats) -> Floats:
    """Rows of scores as probabilities."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _linear(rows: Floats, layer: Layer) -> Floats:
    # A matrix product's last bits depend on how many rows it has; two engines batch differently.
    mapped: Floats = np.einsum("nd,dk->nk", rows, layer.weights) + layer.bias
    return mapped

"""Agreement of labels with gold, with bootstrap intervals.

Everything is computed from confusion tables, so that thousands of bootstrap replicates are one array operation:
drawing n cases with replacement gives a multinomial table. Agreement among annotators belongs in `annotators`;
whether an agreement is good enough, in `verdict`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semtel_dagster.classifiers import Task

REPLICATES = 2000
CONFIDENCE = 0.95
MISSING = "(unlabelled)"

Tables = npt.NDArray[np.float64]
Pairs = Sequence[tuple[str, str | None]]


@dataclass(frozen=True)
class Estimate:
    """A figure with its bootstrap interval (percentiles); None where it is undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class LabelAgreement:
    """How one label fares: its cases in gold and answers, and what they share.

    Attributes:
        gold: Cases with this gold label.
        answered: Cases answered with it.
        bias: Share of answers minus share of gold: above 0 the model says it too often.
    """

    label: str
    gold: int
    answered: int
    precision: Estimate
    recall: Estimate
    f1: Estimate
    bias: Estimate


@dataclass(frozen=True)
class Agreement:
    """How answers to a task agree with gold.

    Attributes:
        n: Cases compared; one without a valid label counts as a disagreement.
        missing: Of these, without a valid label.
        accuracy: Share with the gold label.
        macro_f1: Mean F1 over the labels that occur in gold or answers.
        kappa: Cohen's kappa; quadratic weights for an ordinal task.
        majority: The accuracy of always answering the commonest gold label.
        labels: Per label of the task, in its order.
        confusion: Rows are gold labels, columns answers, the last column missing ones.
    """

    n: int
    missing: int
    accuracy: Estimate
    macro_f1: Estimate
    kappa: Estimate
    quadratic: bool
    majority: float
    labels: tuple[LabelAgreement, ...]
    confusion: tuple[tuple[int, ...], ...]


def measure(
    task: Task, pairs: Pairs, *, seed: int = 0, replicates: int = REPLICATES, confidence: float = CONFIDENCE
) -> Agreement:
    """Compares answers with gold.

    Args:
        task: Its labels, and whether they are ordinal.
        pairs: (gold label, our label or None) per case; at least one.
        seed: Of the bootstrap.
        replicates: Of the bootstrap; more give steadier ends.
        confidence: Of the intervals.
    """
    names = [label.name for label in task.labels]
    table = confusion(pairs, names)
    drawn = replicate(table, seed, replicates)

    def estimate(statistic: Callable[[Tables], Tables]) -> Estimate:
        return interval(float(statistic(table[None])[0]), statistic(drawn), confidence)

    present = (table.sum(axis=1) + table.sum(axis=0))[:-1] > 0
    labels = []
    for place, name in enumerate(names):
        precision, recall, f1, bias = (
            estimate(lambda tables, of=of, place=place: of(tables)[:, place])  # type: ignore[misc]
            for of in (_precision, _recall, _f1, _bias)
        )
        gold, answered = int(table[place].sum()), int(table[:, place].sum())
        labels.append(LabelAgreement(name, gold, answered, precision, recall, f1, bias))
    return Agreement(
        n=len(pairs),
        missing=int(table[:, -1].sum()),
        accuracy=estimate(lambda tables: np.trace(tables, axis1=1, axis2=2) / tables.sum(axis=(1, 2))),
        macro_f1=estimate(lambda tables: _f1(tables)[:, present].mean(axis=1)),
        kappa=estimate(lambda tables: _kappa(tables, quadratic=task.ordinal)),
        quadratic=task.ordinal,
        majority=float(table.sum(axis=1).max() / len(pairs)),
        labels=tuple(labels),
        confusion=tuple(tuple(int(count) for count in row) for row in table[:-1]),
    )


def cohen_kappa(pairs: Pairs, labels: Sequence[str], *, quadratic: bool) -> float | None:
    """Chance-corrected agreement (Cohen 1960; weights of Cohen 1968).

    Args:
        pairs: (human label, our label); a missing or alien label of ours is as far from any label as can be.
        labels: The task's labels, in order.
        quadratic: Whether a disagreement counts by the square of its distance in that order.

    Returns:
        1 for full agreement, 0 for what chance gives; None where both always say one and the same label.
    """
    value = float(_kappa(confusion(pairs, labels)[None], quadratic=quadratic)[0])
    return None if np.isnan(value) else value


def confusion(pairs: Pairs, labels: Sequence[str]) -> Tables:
    """Counts of (gold, ours): float64 of shape [k + 1, k + 1], the last row and column for labels of none."""
    position = {label: index for index, label in enumerate(labels)}
    size = len(labels) + 1
    codes = [size * position.get(gold, size - 1) + position.get(ours or MISSING, size - 1) for gold, ours in pairs]
    return np.bincount(np.asarray(codes, dtype=np.int64), minlength=size * size).reshape(size, size).astype(float)


def replicate(table: Tables, seed: int, replicates: int) -> Tables:
    """Bootstrap tables of as many cases drawn with replacement: shape [replicates, *table.shape]."""
    total = int(table.sum())
    rng = np.random.default_rng(seed)
    return rng.multinomial(total, table.ravel() / total, size=replicates).reshape(-1, *table.shape).astype(float)


def interval(value: float, drawn: Tables, confidence: float = CONFIDENCE) -> Estimate:
    """An estimate with the percentiles of its replicates; undefined replicates are left out."""
    defined = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not len(defined):
        return Estimate(None if np.isnan(value) else value)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(low), float(high))


@dataclass(frozen=True)
class Paired:
    """Two sets of answers to the same cases, against gold: how many cases one of them gets nearer.

    Attributes:
        n: Cases compared.
        before: The baseline's accuracy on them.
        after: The candidate's.
        better: Cases where the candidate is nearer to gold than the baseline.
        worse: Cases where it is farther.
        p_value: Of the exact two-sided sign test; for nominal labels, McNemar's exact test.
    """

    n: int
    before: float
    after: float
    better: int
    worse: int
    p_value: float


def compare(task: Task, triples: Sequence[tuple[str, str | None, str | None]]) -> Paired:
    """Compares a candidate with a baseline, case by case.

    Args:
        task: For an ordinal task nearness counts by steps, else by right and wrong.
        triples: (gold, baseline's label, candidate's label); a missing label is farther than any.
    """
    from scipy.stats import binomtest

    position = {label.name: index for index, label in enumerate(task.labels)}

    def distance(gold: str, label: str | None) -> int:
        if label is None or label not in position:
            return len(position)
        return abs(position[gold] - position[label]) if task.ordinal else int(gold != label)

    known = [triple for triple in triples if triple[0] in position]
    gains = [distance(gold, before) - distance(gold, after) for gold, before, after in known]
    n = max(len(known), 1)
    better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    p_value = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    return Paired(
        n=len(known),
        before=sum(gold == before for gold, before, _ in known) / n,
        after=sum(gold == after for gold, _, after in known) / n,
        better=better,
        worse=worse,
        p_value=p_value,
    )


def _kappa(tables: Tables, *, quadratic: bool) -> Tables:
    size = tables.shape[-1]
    order = np.arange(size)
    weights = (
        ((order[:, None] - order) / max(size - 2, 1)) ** 2 if quadratic else (order[:, None] != order).astype(float)
    )
    weights[-1, :] = weights[:, -1] = 1.0
    weights[-1, -1] = 0.0
    expected = tables.sum(axis=2)[:, :, None] * tables.sum(axis=1)[:, None, :] / tables.sum(axis=(1, 2))[:, None, None]
    return 1 - ratio((weights * tables).sum(axis=(1, 2)), (weights * expected).sum(axis=(1, 2)))


def _precision(tables: Tables) -> Tables:
    return ratio(_hits(tables), tables.sum(axis=1)[:, :-1])


def _recall(tables: Tables) -> Tables:
    return ratio(_hits(tables), tables.sum(axis=2)[:, :-1])


def _f1(tables: Tables) -> Tables:
    said = tables.sum(axis=1)[:, :-1] + tables.sum(axis=2)[:, :-1]
    # A label that neither side uses in a replicate has F1 0, as scikit-learn counts it with zero_division=0.
    return np.nan_to_num(ratio(2 * _hits(tables), said))


def _bias(tables: Tables) -> Tables:
    bias: Tables = (tables.sum(axis=1) - tables.sum(axis=2))[:, :-1] / tables.sum(axis=(1, 2))[:, None]
    return bias


def _hits(tables: Tables) -> Tables:
    return np.diagonal(tables, axis1=1, axis2=2)[:, :-1]


def ratio(above: Tables, below: Tables) -> Tables:
    """Element by element; undefined where `below` is 0."""
    ratio: Tables = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
    return ratio

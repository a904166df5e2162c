"""Packs whose labels are too much alike to have come about one by one.

Belongs here: the test. What becomes of such a pack belongs in `session`.

Which conversations share a pack is drawn, so if each gets the label that it would get alone, the number that get a
certain one follows the hypergeometric distribution, whatever the labels' shares are (Fisher's exact test, 1935). A pack
with far more of a label than that has answered for itself: one conversation has moved the others, or the model went on
with what it had said before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from semtel_dagster.classifiers import Classifier
from semtel_dagster.labels.answers import AnswerParser

ALARMS = 0.25
"""False alarms in n x n packs of n conversations, at most. A large pack that answers for itself is plain to see; one of
eight looks more like chance, so it is suspected sooner, which costs few calls."""

FEW, ALARMS_OF_FEW = 8, 0.001
"""In a pack of fewer conversations hardly anything can be told from chance."""


def level(size: int) -> float:
    """Share of the packs of so many conversations, at most, that chance alone makes look too much alike."""
    return ALARMS / size**2 if size >= FEW else ALARMS_OF_FEW


def too_alike(packs: Sequence[Sequence[Hashable]], tests: int = 1) -> list[bool]:
    """Whether any label is too frequent in a pack, against all packs of the same draw.

    What is left over makes smaller packs; they are suspected as seldom as the others.

    Args:
        packs: One label for each conversation of each pack.
        tests: Among how many such looks at a pack its false alarms are divided.
    """
    overall = Counter(label for labels in packs for label in labels)
    sizes = {len(labels) for labels in packs if len(labels) > 1}
    rare = {size: _rare_counts(size, overall, level(max(sizes)) / tests) for size in sizes}
    return [
        len(labels) in rare and any(count >= rare[len(labels)][label] for label, count in Counter(labels).items())
        for labels in packs
    ]


def _rare_counts(size: int, overall: Counter[Hashable], share: float) -> dict[Hashable, int]:
    """By label, how many of it are too many for a pack: the rarest counts that chance brings to this share of packs."""
    from scipy.stats import hypergeom

    counts = np.arange(size + 1)
    labels = np.array(list(overall.values()))[:, np.newaxis]
    exactly = np.asarray(hypergeom.pmf(counts, labels.sum(), labels, size))
    exactly[:, :2] = 1.0  # one of a label is never too many
    at_least = exactly[:, ::-1].cumsum(axis=1)[:, ::-1]
    rarest = np.argsort(at_least, axis=None)
    tails, by_chance = at_least.ravel()[rarest], exactly.ravel()[rarest].cumsum()
    # Counts that are as rare as each other are too many all together, or none of them is.
    together = by_chance[np.searchsorted(tails, at_least, side="right") - 1]
    too_many = (together <= share) & (at_least <= share)
    least = np.where(too_many.any(axis=1), too_many.argmax(axis=1), size + 1)
    return dict(zip(overall, least.tolist(), strict=True))


class Likeness:
    """Finds, in the answers to one draw of packs, the packs that are too much alike in any task."""

    def __init__(self, classifiers: Mapping[str, Classifier]) -> None:
        """For packs that ask these classifiers, by name."""
        self._tasks = sum(len(classifier.tasks) for classifier in classifiers.values())
        self._parsers = {name: AnswerParser(classifier) for name, classifier in classifiers.items()}

    def __call__(self, packs: Sequence[Mapping[str, Mapping[str, str]]]) -> list[bool]:
        """Which packs are.

        Args:
            packs: The raw texts of each, by content hash and classifier.
        """
        found = np.zeros(len(packs), dtype=bool)
        for name, parser in self._parsers.items():
            parsed = [[parser.parse(answers[name]) for answers in pack.values() if name in answers] for pack in packs]
            tasks = next((len(labels) for pack in parsed for labels in pack), 0)
            for task in range(tasks):
                labels = [[each[task].label for each in pack] for pack in parsed]
                found |= np.array(too_alike(labels, self._tasks), dtype=bool)
        return list(found.tolist())

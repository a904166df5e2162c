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

LEVEL = 0.001
"""Share of the packs, at most, that chance alone makes look too much alike."""


def too_alike(packs: Sequence[Sequence[Hashable]], level: float = LEVEL) -> list[bool]:
    """Whether any label is too frequent in a pack, against all packs of the same draw.

    Args:
        packs: One label for each conversation of each pack.
        level: The chance of a false alarm about a pack; divided among the labels that there are.
    """
    from scipy.stats import hypergeom

    counts = [Counter(labels) for labels in packs]
    overall = sum(counts, Counter[Hashable]())
    cells = [(at, label, count) for at, found in enumerate(counts) for label, count in found.items()]
    if not cells:
        return [False] * len(packs)
    which = np.array([at for at, _, _ in cells])
    sizes = np.array([len(labels) for labels in packs])
    chance = hypergeom.sf(
        np.array([count for *_, count in cells]) - 1,
        overall.total(),
        np.array([overall[label] for _, label, _ in cells]),
        sizes[which],
    )
    suspicious = np.zeros(len(packs), dtype=bool)
    suspicious[which[chance < level / len(overall)]] = True
    flagged: list[bool] = suspicious.tolist()
    return flagged


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
                found |= np.array(too_alike(labels, LEVEL / self._tasks), dtype=bool)
        return list(found.tolist())

"""Answering one task of a classifier: which evidence decides it, and how evidence becomes a label and a score.

An ordinal task whose ends lie on a known axis is answered by it: content against displeasure (signs in the user's
later turns) or expert against novice (the level of the judged turns). A task whose labels say what the user wants is
answered by acts; every other by subject. Which it is follows from the words of the prompt file alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from semtel_dagster.classifiers import Task
from semtel_dagster.embedding.base import unit_rows
from semtel_dagster.embedding.cues import acts
from semtel_dagster.embedding.evidence import act_weights, level, valence
from semtel_dagster.embedding.label_scores import LabelScores, label_scores, phrases
from semtel_dagster.embedding.semantic import Floats, SemanticSpace
from semtel_dagster.transcript import Turn

AXES = {
    "valence": (
        "satisfied, happy, pleased, content, thanks, praise, good, positive",
        "dissatisfied, unhappy, frustrated, angry, complaint, bad, negative",
    ),
    "level": (
        "expert, specialist, advanced, professional, deep and precise knowledge",
        "novice, beginner, layperson, basic, simple, no knowledge",
    ),
}
ALONG_AXIS = 0.35
ACT_FIT = 17.0  # intents and cognitive levels reach 22 and more, subjects and levels of skill at most 16
SUBJECT_SHARE = 0.1
NEUTRAL_BAND = 0.2  # of a scale from -1 to 1, on both sides of its middle

# Where answers of assistants lie: able ones are usual, so the scale of their levels is not centred. Chosen on the
# demo's gold by quadratic kappa over weeks left out; wider for users would gain a point of accuracy, and let the
# injections, which make a text longer, move 93 % of the labels instead of 59 %.
LEVEL_CENTRE = {"user": 0.05, "assistant": 0.85}
LEVEL_SPREAD = {"user": 0.7, "assistant": 0.35}


class Evidence(Enum):
    """What decides a task."""

    VALENCE = "valence"
    LEVEL = "level"
    ACTS = "acts"
    SUBJECT = "subject"


@dataclass(frozen=True)
class Answer:
    """A label, and its place on a scale from -1 to 1 if the task is ordinal along an axis."""

    label: str
    position: float


@dataclass(frozen=True)
class TaskReader:
    """One task, ready to be answered.

    Attributes:
        task: The task.
        evidence: What decides it.
        sign: 1.0 if the last label is the axis's high end, else -1.0.
        scores: Fit of labels to texts.
        act_fit: How well each act fits each label, shape [acts, labels].
        space: Where texts are embedded.
    """

    task: Task
    evidence: Evidence
    sign: float
    scores: LabelScores
    act_fit: Floats
    space: SemanticSpace

    def answer(self, turns: Sequence[Turn]) -> Answer:
        """The label for a conversation; of equals the first."""
        said = [turn.content for turn in turns if self.task.subject in ("conversation", turn.role)]
        user = [turn.content for turn in turns if turn.role == "user"]
        if self.evidence is Evidence.VALENCE:
            return self._placed(self.sign * valence(user))
        if self.evidence is Evidence.LEVEL:
            role = "assistant" if self.task.subject == "assistant" else "user"
            place = LEVEL_CENTRE[role] + LEVEL_SPREAD[role] * level(said, role)
            return self._placed(self.sign * float(np.clip(place, -1, 1)))
        fit = self.scores.score(self.space.embed(["\n".join(said)]))[0]
        if self.evidence is Evidence.ACTS:
            fit = act_weights(user) @ self.act_fit + SUBJECT_SHARE * (fit - fit.mean())
        best = int(np.argmax(np.round(fit, 6)))
        return Answer(self.task.labels[best].name, 2 * best / max(len(self.task.labels) - 1, 1) - 1)

    def _placed(self, place: float) -> Answer:
        return Answer(self.task.labels[band(place, len(self.task.labels))].name, place)


def band(place: float, labels: int) -> int:
    """The label of a place between -1 and 1: the middle one of three within a fifth of 0, else equal bands.

    Args:
        place: Where the evidence lies on the scale.
        labels: How many labels divide it, from low to high.
    """
    if labels == 3:
        return 1 + int(place >= NEUTRAL_BAND) - int(place <= -NEUTRAL_BAND)
    return min(int((place + 1) / 2 * labels), labels - 1)


def read_task(task: Task, space: SemanticSpace) -> TaskReader:
    """Makes a task ready: prototypes, and what decides it."""
    scores = label_scores(task.labels, space)
    fit = scores.score(space.embed([act.description for act in acts()]))
    act_fit = (fit - fit.mean(axis=0)) / np.maximum(fit.std(axis=0), 1e-6)
    act_fit = act_fit - act_fit.mean(axis=1, keepdims=True)
    evidence, direction = _deciding(task, space, float(fit.max(axis=0).mean()))
    return TaskReader(task, evidence, direction, scores, act_fit, space)


def _deciding(task: Task, space: SemanticSpace, act_fit: float) -> tuple[Evidence, float]:
    if task.ordinal and len(task.labels) > 1:
        ends = [space.embed(phrases(label)).mean(axis=0) for label in (task.labels[-1], task.labels[0])]
        along = {name: float(_direction(*ends) @ _direction(*space.embed(axis))) for name, axis in AXES.items()}
        axis = max(along, key=lambda name: abs(along[name]))
        if abs(along[axis]) >= ALONG_AXIS:
            return Evidence(axis), float(np.sign(along[axis]))
    return (Evidence.ACTS if act_fit >= ACT_FIT else Evidence.SUBJECT), 1.0


def _direction(high: Floats, low: Floats) -> Floats:
    direction: Floats = unit_rows((high - low)[None])[0]
    return direction

"""One colour per label, the same in every chart, readable on light and on dark ground."""

from __future__ import annotations

from semtel_dagster.classifiers import Task

_CATEGORIES = (
    "#4c86c6", "#e08a3c", "#3fa37c", "#c8577a", "#8b74c9", "#b59a2e", "#3da3b5", "#b3705a",
    "#7f9f3f", "#c46bb2", "#6b8fa3", "#d1604d",
)  # fmt: skip
_LOW_TO_HIGH = ("#d9a441", "#a3aa55", "#5aa78a", "#3f8fb5", "#6a6fc4", "#9a5bb0")
_BAD_TO_GOOD = ("#cf5f58", "#9299a1", "#3f9d75")
_SPECIAL = "#9299a1"


def label_colours(task: Task) -> dict[str, str]:
    """A colour for each of a task's labels; what is no label of the task is grey.

    An ordinal task has a ramp from its first to its last label, one with a score from bad over grey to good.
    """
    names = [label.name for label in task.labels]
    if not task.ordinal:
        return {name: _shade(_CATEGORIES[i % len(_CATEGORIES)], i // len(_CATEGORIES)) for i, name in enumerate(names)}
    ramp = _BAD_TO_GOOD if task.score else _LOW_TO_HIGH
    last = max(len(names) - 1, 1)
    return {name: _between(ramp, place / last) for place, name in enumerate(names)}


def colour_of(task: Task, label: str) -> str:
    """The colour of a label, or grey for "(invalid)", "(unanswered)" and "(suppressed)"."""
    return label_colours(task).get(label, _SPECIAL)


def _between(ramp: tuple[str, ...], place: float) -> str:
    position = place * (len(ramp) - 1)
    left = min(int(position), len(ramp) - 2)
    return _mix(ramp[left], ramp[left + 1], position - left)


def _shade(colour: str, turn: int) -> str:
    """A lighter, then a darker variant for each turn through the categories."""
    return colour if turn == 0 else _mix(colour, "#ffffff" if turn % 2 else "#202020", 0.35)


def _mix(first: str, second: str, weight: float) -> str:
    pairs = zip(_channels(first), _channels(second), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * weight):02x}" for a, b in pairs)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)

"""The keys under which models write a value: the one that was asked for, its variations, and words such as "label"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from semtel_dagster.classifiers import Classifier, Task
from semtel_dagster.labels import text_fields
from semtel_dagster.labels.json_fields import Field, Section
from semtel_dagster.labels.normalise import compact

# Believed only where one task is asked for.
LABEL_KEYS = (
    "label", "answer", "category", "classification", "class", "result", "output", "prediction", "choice", "value",
    "verdict", "主题", "话题", "标签", "类别", "分类", "答案", "Thema", "Kategorie", "Antwort", "tema", "etiqueta",
    "categoría", "respuesta", "sujet", "catégorie", "réponse", "тема", "категория", "ответ",
)  # fmt: skip
SCORE_KEYS = ("score", "rating", "points", "value")


class Keys:
    """The names under which one value may stand in an answer."""

    def __init__(self, own: str, others: Sequence[str], foreign: Sequence[str]) -> None:
        self._own = compact(own)
        self._others = frozenset(compact(name) for name in others)
        self._foreign = text_fields.name_pattern(foreign) if foreign else None
        self.patterns = [text_fields.key_pattern(name) for name in (own, *others)]

    def fields(self, fields: Sequence[Field]) -> list[Field]:
        """The fields with the own name, or else those with another one, whatever their case and separators."""
        keyed = [(compact(field.key), field) for field in fields]
        own = [field for key, field in keyed if key == self._own]
        return own or [field for key, field in keyed if key in self._others]

    def search(self, section: Section) -> Iterator[list[Field]]:
        """The value's fields in one written form after another, the most explicit first."""
        yield self.fields(section.fields)
        yield self.fields(section.broken)
        yield self.fields(text_fields.tag_fields(section.rest))
        yield self.fields(text_fields.line_fields(section.rest, self.patterns, self._foreign))


def label_keys(task: Task, classifier: Classifier) -> Keys:
    """The keys of a task's label."""
    alone = len(classifier.tasks) == 1
    return Keys(
        task.name, [*_variations(task, classifier), *(LABEL_KEYS if alone else ())], _foreign(task.name, classifier)
    )


def score_keys(task: Task, classifier: Classifier) -> Keys | None:
    """The keys of a task's score, if it has one."""
    if task.score is None:
        return None
    alone = len(classifier.tasks) == 1
    return Keys(task.score.field, SCORE_KEYS if alone else (), _foreign(task.score.field, classifier))


def _foreign(own: str, classifier: Classifier) -> list[str]:
    return [name for name in _field_names(classifier) if name != own]


def _field_names(classifier: Classifier) -> list[str]:
    return [name for task in classifier.tasks for name in (task.name, *([task.score.field] if task.score else []))]


def _variations(task: Task, classifier: Classifier) -> list[str]:
    """What models make of a task's name; also whose turns are judged, where that tells the tasks apart."""
    names = [f"{task.name}s", *(f"{word} {task.name}" for word in ("primary", "main", "predicted", "final"))]
    if task.subject != "conversation" and [other.subject for other in classifier.tasks].count(task.subject) == 1:
        names.append(task.subject)
    return [name for name in names if name not in _field_names(classifier)]

"""The JSON schema of a classifier's answer, strict enough for structured outputs.

Every object is closed and every field required, as providers' strict modes demand.
"""

from __future__ import annotations

from typing import Any

from semtel_dagster.classifiers import Classifier, Score


def response_schema(classifier: Classifier) -> dict[str, Any]:
    """An object with one enum per task; a score comes before its label, since the label follows from it."""
    properties: dict[str, Any] = {}
    for task in classifier.tasks:
        if task.score:
            properties[task.score.field] = _number(task.score)
        properties[task.name] = {"type": "string", "enum": [label.name for label in task.labels]}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _number(score: Score) -> dict[str, Any]:
    if float(score.minimum).is_integer() and float(score.maximum).is_integer():
        return {"type": "integer", "minimum": int(score.minimum), "maximum": int(score.maximum)}
    return {"type": "number", "minimum": score.minimum, "maximum": score.maximum}

"""Students on disk: arrays as npz, all else as JSON, never a pickle.

Belongs here: the folder `<storage>/cascade/<classifier>/<version>`, written whole or not at all. A version is never
overwritten; old ones stay, since the responses that they gave name them.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from semtel_dagster.cascade.guarantee import Bound
from semtel_dagster.cascade.student import Head, Layer, Student
from semtel_dagster.cascade.training import Trained
from semtel_dagster.datasets import replaced_folder
from semtel_dagster.errors import SemtelError

FOLDER = "cascade"
ARRAYS, RECORD = "student.npz", "record.json"
_FIELDS = ("agreement", "confidence", "version", "prompt_fingerprint", "embedding", "random_share", "fitted")


def save(storage: str, classifier: str, trained: Trained) -> Path:
    """Keeps a student; its folder. From now on it is the newest of its prompt."""
    student = trained.student
    arrays = {"centre": student.centre, "scale": student.scale}
    for at, head in enumerate(student.heads):
        for depth, layer in enumerate(head.layers):
            arrays |= {f"{at}.{depth}.weights": layer.weights, f"{at}.{depth}.bias": layer.bias}
    record: dict[str, Any] = {name: getattr(trained, name) for name in _FIELDS} | {
        "trained_at": time.time(),
        "weeks": trained.weeks,
        "bounds": {label: asdict(bound) for label, bound in trained.bounds.items()},
        "heads": [
            {"task": head.task, "labels": head.labels, "layers": len(head.layers), "temperature": head.temperature}
            for head in student.heads
        ],
    }
    folder = Path(storage) / FOLDER / classifier / trained.version
    with replaced_folder(folder, Path(storage)) as writing:
        np.savez_compressed(writing / ARRAYS, **arrays)  # type: ignore[arg-type]  # its stubs miss keyword arrays
        (writing / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    return folder


def load(storage: str, classifier: str, version: str) -> Trained:
    """The student of a version.

    Raises:
        SemtelError: It is not there or cannot be read.
    """
    folder = Path(storage) / FOLDER / classifier / version
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            heads = tuple(_head(arrays, at, described) for at, described in enumerate(record["heads"]))
            student = Student(heads, arrays["centre"], arrays["scale"])
        bounds = {label: Bound(**bound) for label, bound in record["bounds"].items()}
        fields = {name: record[name] for name in _FIELDS}
        return Trained(student=student, bounds=bounds, weeks=tuple(record["weeks"]), **fields)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SemtelError(
            f"the cascade's student {version} of {classifier} cannot be read ({type(error).__name__}): materialize "
            "cascade_students again"
        ) from error


def newest(storage: str, classifier: str, prompt_fingerprint: str) -> str | None:
    """The version that was trained last for a prompt; None where there is none."""
    found = [
        (record["trained_at"], record["version"])
        for record in _records(storage, classifier)
        if record["prompt_fingerprint"] == prompt_fingerprint
    ]
    return max(found)[1] if found else None


def shares(storage: str, classifier: str) -> dict[str, float]:
    """By version, the share that was asked anyway in the weeks that it answered."""
    return {record["version"]: record["random_share"] for record in _records(storage, classifier)}


def _records(storage: str, classifier: str) -> list[dict[str, Any]]:
    paths = sorted((Path(storage) / FOLDER / classifier).glob(f"*/{RECORD}"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def _head(arrays: Any, at: int, described: dict[str, Any]) -> Head:
    layers = tuple(
        Layer(arrays[f"{at}.{depth}.weights"], arrays[f"{at}.{depth}.bias"]) for depth in range(described["layers"])
    )
    return Head(described["task"], tuple(described["labels"]), layers, described["temperature"])

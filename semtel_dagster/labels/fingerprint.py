"""The parser's own fingerprint: answers that are paid for are read again when it changes, and never asked again."""

from __future__ import annotations

import hashlib

import orjson

from semtel_dagster.classifiers import Classifier

# Raise the number with every change that can give an old answer another label, score, status or reason.
PARSER_FINGERPRINT = "labels-1"


def parser_fingerprint(classifier: Classifier, nearness: str = "") -> str:
    """16 hex digits over the parser's version and what it reads of a classifier: names, aliases, scales, scores.

    Args:
        classifier: The tasks that are read.
        nearness: The fingerprint of the judge of meaning, if there is one; then definitions count, too.
    """
    tasks = [
        {
            "name": task.name,
            "ordinal": task.ordinal,
            "score": task.score.model_dump() if task.score else None,
            "labels": [[label.name, sorted(label.aliases)] for label in task.labels],
        }
        for task in classifier.tasks
    ]
    judged = [nearness, [[label.definition for label in task.labels] for task in classifier.tasks]] if nearness else []
    content = orjson.dumps([PARSER_FINGERPRINT, tasks, *judged], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(content, digest_size=8).hexdigest()

"""A server that knows what is true about every transcript, and what a run's table says about it."""

import json

from semtel_dagster.loopback.script import Script
from tests.packing.builders import SLOT, total, transcripts, truth
from tests.requests.builders import hash_of

ALL = transcripts(2400)
TRUTH = truth(ALL)


def script(accuracy=1.0, **fields):
    """A server that knows what is true about every transcript, packed or not."""
    return Script(answers={"style": "confusion", "truth": TRUTH, "accuracy": accuracy}, slot=SLOT, **fields)


def labels(table, task="colour"):
    return {
        one: json.loads(text)[task]
        for one, text in zip(table["content_hash"].to_pylist(), table["raw_text"].to_pylist(), strict=True)
    }


def right(texts, task="colour"):
    return {hash_of(text): TRUTH[hash_of(text)][task] for text in texts}


def charged(server):
    stats = server.stats(conversations=False)
    return stats["prompt_tokens"], stats["cached_tokens"], stats["completion_tokens"]


def columns(*tables):
    return tuple(sum(total(table, name) for table in tables)
                 for name in ("input_tokens", "cached_tokens", "output_tokens"))  # fmt: skip

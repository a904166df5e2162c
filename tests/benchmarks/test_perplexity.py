import numpy as np
import pytest

from benchmarks.perplexity import Stored
from semtel_dagster.surprisal.gguf import GgufScorer
from tests.surprisal_models import smollm2

SAID = ["user:\n", "My garden hose leaks.", " One two three four."]
WANTED = [False, True, True]


def stored(path, until=float("inf"), model="none.gguf"):
    return Stored(GgufScorer(model), path, until)


def test_what_was_read_is_not_read_again(tmp_path):
    first = stored(tmp_path / "surprisals.jsonl", model=smollm2())(SAID, WANTED)
    again = stored(tmp_path / "surprisals.jsonl")
    assert np.array_equal(again(SAID, WANTED), first, equal_nan=True)
    (line,) = again.known.values()
    assert line["tokens"] > 8
    assert line["cpu_s"] > 0


def test_what_was_not_read_in_time_ends_the_run(tmp_path):
    with pytest.raises(TimeoutError):
        stored(tmp_path / "surprisals.jsonl", until=0.0)(SAID, WANTED)

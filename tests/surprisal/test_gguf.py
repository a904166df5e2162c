import pickle
import sys

import numpy as np
import pytest

from semtel_dagster.errors import DependencyError, SettingsError
from semtel_dagster.surprisal.gguf import SPENT, GgufScorer
from tests.surprisal_models import smollm2

SAID = [
    "user:\n",
    "What is the capital of France?",
    "\n\nassistant:\n",
    "The capital of France is Paris.",
    " Violet gnu.",
]
ALL = [True] * len(SAID)


def scorer(**fields):
    return GgufScorer(smollm2(), **fields)


def test_what_could_be_guessed_surprises_less():
    found = scorer()(SAID, ALL)
    assert found[3] < found[1] < found[4]
    assert np.isfinite(found).all()


def test_said_again_it_surprises_less():
    sentence = " Seven lanterns hung over the frozen quay that evening."
    first, again = scorer()([sentence, sentence], [True, True])
    assert again < first / 2


def test_only_what_is_asked_is_told_and_the_rest_is_context():
    everything, some = scorer()(SAID, ALL), scorer()(SAID, [False, False, False, True, False])
    assert some[3] == everything[3]
    assert np.isnan(np.delete(some, 3)).all()


def test_the_same_text_gives_the_same_whatever_was_read_before():
    asked = scorer()
    first = asked(SAID, ALL)
    asked(["Something else entirely."], [True])
    assert (pickle.loads(pickle.dumps(asked))(SAID, ALL) == first).all()


@pytest.mark.slow
def test_the_number_of_threads_changes_no_figure():
    said = [f" Number {number} of the list comes after number {number - 1}." for number in range(1, 13)]
    one, two = (scorer(threads=threads)(said, [True] * len(said)) for threads in (1, 2))
    assert (one == two).all()


def test_a_text_longer_than_the_context_is_read_in_windows_that_know_what_came_before():
    sentences = [f" Number {number} of the list comes after number {number - 1}." for number in range(1, 10)]
    whole = scorer(context=256)(sentences, [True] * len(sentences))
    windows = scorer(context=64)(sentences, [True] * len(sentences))
    first = int(np.flatnonzero(~np.isclose(whole, windows, atol=0.01))[0])
    assert first > 2  # the first window sees the same
    assert windows[first:].max() < windows[0]


def test_hostile_text_is_text():
    pieces = ["<|im_start|>system\n<|endoftext|>", "", "\x00\ufffd", "漢字" * 4, "👩‍👩‍👧", " "]
    found = scorer()(pieces, [True] * len(pieces))
    assert np.isnan(found[1])
    assert np.isfinite(np.delete(found, 1)).all()


def test_nothing_asked_reads_nothing():
    SPENT.take()
    assert np.isnan(scorer()(SAID, [False] * len(SAID))).all()
    assert scorer()([], []).shape == (0,)
    assert SPENT.take().tokens == 0


def test_what_was_spent_is_told_once():
    SPENT.take()
    scorer()(SAID, ALL)
    spent = SPENT.take()
    assert spent.tokens > 15
    assert spent.seconds > 0
    assert SPENT.take().tokens == 0


def test_a_missing_file_or_another_is_named_with_the_mend(tmp_path):
    other = tmp_path / "notes.gguf"
    other.write_text("no model")
    for path, says in ((tmp_path / "gone.gguf", "does not exist"), (other, "cannot read")):
        with pytest.raises(SettingsError, match=rf"compress\.perplexity\.model.*{says}|{says}") as caught:
            GgufScorer(str(path))(SAID, ALL)
        assert str(path) in str(caught.value)
        assert "name a GGUF file" in str(caught.value)


def test_a_missing_package_is_named_with_the_mend(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with pytest.raises(DependencyError, match=r"llama-cpp-python.*pip install 'semtel-dagster\[compress\]'"):
        GgufScorer(str(tmp_path / "any.gguf")).load()

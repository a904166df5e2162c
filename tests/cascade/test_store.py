"""Students on disk: what was written is read back to the bit, and nothing is ever unpickled."""

import numpy as np
import pytest

from semtel_dagster.cascade.store import ARRAYS, load, newest, save, shares
from semtel_dagster.cascade.training import train
from semtel_dagster.errors import SemtelError
from tests.cascade.builders import OPTIONS, examples

PROMPT = "0123456789abcdef"


def trained(model="logistic", prompt=PROMPT, **options):
    return train(examples(800), ("topic",), prompt, OPTIONS.model_copy(update={"model": model, **options}))


@pytest.mark.parametrize("model", ["logistic", "mlp"])
def test_a_student_that_is_read_back_says_the_same(tmp_path, model):
    one = trained(model)
    save(str(tmp_path), "topic", one)
    back = load(str(tmp_path), "topic", one.version)
    vectors = examples(200, seed=3).vectors
    before, after = one.student.predict(vectors), back.student.predict(vectors)
    assert np.array_equal(before.scores, after.scores)
    assert np.array_equal(before.labels, after.labels)
    assert np.array_equal(one.answers(before), back.answers(after))
    assert (back.bounds, back.version, back.embedding, back.weeks) == (
        one.bounds,
        one.version,
        one.embedding,
        one.weeks,
    )


def test_the_newest_student_of_a_prompt_counts_and_older_ones_stay(tmp_path):
    storage = str(tmp_path)
    first, second, other = trained(), trained(agreement=0.8), trained(prompt="another", random_share=0.5)
    for each in (first, second, other):
        save(storage, "topic", each)
    assert newest(storage, "topic", PROMPT) == second.version
    assert newest(storage, "topic", "never seen") is None
    assert newest(storage, "intent", PROMPT) is None
    assert shares(storage, "topic") == {first.version: 0.02, second.version: 0.02, other.version: 0.5}


def test_an_array_file_with_objects_is_refused_and_says_what_to_do(tmp_path):
    one = trained()
    folder = save(str(tmp_path), "topic", one)
    np.savez(folder / ARRAYS, centre=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(SemtelError, match="materialize cascade_students again"):
        load(str(tmp_path), "topic", one.version)

"""Krippendorff's alpha against the published example and its definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.evaluation.annotators import alpha

# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), the data of section C: four observers, twelve units.
OBSERVERS = {
    "A": "1 2 3 3 2 1 4 1 2 . . .",
    "B": "1 2 3 3 2 2 4 1 2 5 . 3",
    "C": ". 3 3 3 2 3 4 2 2 5 1 .",
    "D": "1 2 3 3 2 4 4 1 2 5 1 .",
}


def published():
    ratings = {}
    for observer, said in OBSERVERS.items():
        for unit, label in enumerate(said.split()):
            if label != ".":
                ratings.setdefault(str(unit), {})[observer] = label
    return ratings


@pytest.mark.parametrize(("ordinal", "value"), [(False, 0.743), (True, 0.815)])
def test_alpha_is_the_published_one(ordinal, value):
    found = alpha(published(), list("12345"), ordinal=ordinal, replicates=200)
    assert round(found.value, 3) == value
    assert found.low < found.value < found.high


def pair_by_pair(ratings, labels):
    """Nominal alpha by its definition: observed over expected disagreement of pairs of ratings."""
    units = [list(said.values()) for said in ratings.values() if len(said) > 1]
    everything = [label for unit in units for label in unit]
    observed = sum(
        sum(a != b for i, a in enumerate(unit) for j, b in enumerate(unit) if i != j) / (len(unit) - 1)
        for unit in units
    ) / len(everything)
    n = len(everything)
    expected = sum(a != b for i, a in enumerate(everything) for j, b in enumerate(everything) if i != j) / (n * (n - 1))
    return 1 - observed / expected if expected else None


@given(st.lists(st.dictionaries(st.sampled_from("wxyz"), st.sampled_from("abc"), min_size=1), min_size=1, max_size=15))
def test_alpha_is_its_definition(rows):
    ratings = {str(unit): said for unit, said in enumerate(rows)}
    found = alpha(ratings, list("abc"), ordinal=False, replicates=5).value
    if any(len(said) > 1 for said in rows):
        expected = pair_by_pair(ratings, list("abc"))
        assert found == (None if expected is None else pytest.approx(expected, abs=1e-9))
    else:
        assert found is None

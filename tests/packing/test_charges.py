"""Charges: parts that add up to exactly what was charged."""

from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.packing.charges import Charge, divide, shares

WEIGHTS = st.lists(st.floats(0, 1e6), min_size=1, max_size=40)


@given(st.integers(0, 10**7), WEIGHTS)
def test_shares_are_whole_and_add_up(total, weights):
    parts = shares(total, weights)
    assert sum(parts) == total
    assert min(parts) >= 0


@given(st.integers(1, 10**6), st.lists(st.integers(1, 10**4), min_size=2, max_size=20))
def test_shares_are_in_proportion(total, weights):
    for part, weight in zip(shares(total, weights), weights, strict=True):
        assert abs(part - total * weight / sum(weights)) < 1 + 1e-6


@given(st.integers(0, 10**6), st.floats(0, 1), st.integers(0, 10**5), st.integers(1, 9), WEIGHTS)
def test_a_divided_charge_adds_up_in_every_column(prompt, cached, output, attempts, weights):
    charge = Charge(prompt, int(prompt * cached), output, attempts, attempts - 1)
    parts = divide(charge, weights)
    whole = Charge()
    for part in parts:
        whole += part
        assert 0 <= part.cached_tokens <= part.input_tokens
    assert whole == charge
    assert all(part.attempts == 0 for part in parts[1:])

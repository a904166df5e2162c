"""The guarantee: which ways pass, in which order, and how often the promise is broken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from semtel_dagster.tuning.choosing import choose, error_of, needed
from semtel_dagster.tuning.measuring import Measured, Rate
from semtel_dagster.tuning.showing import frontier
from semtel_dagster.tuning.ways import SINGLE, Way, chains, texts_of

SEQUENCES = chains(texts_of([500], compress=False), combine=True, sizes=(1, 2, 4))


def one(way: Way, cost: float, hits: int = 1000, n: int = 1000) -> Measured:
    return Measured(way, {"topic": Rate(hits, n)}, 1, int(cost * 1000), 0, 0, cost)


def of(*measured: Measured) -> dict[Way, Measured]:
    return {each.way: each for each in measured}


@given(st.integers(1, 400), st.floats(0, 1), st.sampled_from([0.05, 0.025, 0.005]))
def test_bounds_are_clopper_and_pearsons(n, share, error):
    hits = round(n * share)
    low, high = proportion_confint(hits, n, 2 * error, method="beta")
    assert Rate(hits, n).low(error) == pytest.approx(low if hits else 0.0, abs=1e-9)
    assert Rate(hits, n).high(error) == pytest.approx(high if hits < n else 1.0, abs=1e-9)


def test_the_least_dear_way_that_passes_is_taken():
    ways = of(one(SINGLE, 9), one(Way(pack=2), 5), one(Way(pack=4), 3, hits=900), one(Way(combine=True), 4))
    choice = choose(ways, SEQUENCES, 0.98, 0.95)
    assert choice.chosen.way == Way(combine=True)
    assert choice.passed == {SINGLE, Way(pack=2), Way(combine=True)}


def test_what_comes_after_a_failure_is_not_taken_however_well_it_agrees():
    ways = of(one(SINGLE, 9), one(Way(pack=2), 5, hits=900), one(Way(pack=4), 3))
    assert choose(ways, SEQUENCES, 0.98, 0.95).chosen.way == SINGLE


def test_the_task_that_agrees_least_decides():
    two = Measured(Way(pack=2), {"a": Rate(1000, 1000), "b": Rate(900, 1000)}, 1, 1, 0, 0, 1.0)
    assert choose(of(one(SINGLE, 9), two), SEQUENCES, 0.98, 0.95).chosen.way == SINGLE


def test_without_prices_tokens_decide():
    ways = of(one(SINGLE, 0), Measured(Way(pack=2), {"topic": Rate(500, 500)}, 1, 0, 0, 0, 0.0))
    ways[SINGLE] = Measured(SINGLE, {"topic": Rate(500, 500)}, 1, 10, 0, 0, 0.0)
    assert choose(ways, SEQUENCES, 0.98, 0.95).chosen.way == Way(pack=2)


@pytest.mark.parametrize(("wanted", "error"), [(0.99, 0.05), (0.99, 0.005), (0.9, 0.01)])
def test_as_many_as_needed_without_a_difference_suffice_and_one_less_does_not(wanted, error):
    n = needed(wanted, error)
    assert Rate(n, n).low(error) >= wanted
    assert Rate(n - 1, n - 1).low(error) < wanted


def test_a_promise_is_broken_in_no_more_than_its_share_of_repeats():
    """All ways but that of single calls agree a little less often than wanted: choosing any of them breaks it."""
    wanted, confidence, n, repeats = 0.95, 0.9, 400, 600
    rng = np.random.default_rng(7)
    ways = [way for sequence in SEQUENCES for way in sequence if way != SINGLE]
    broken = 0
    for _ in range(repeats):
        hits = rng.binomial(n, 0.949, len(ways))
        drawn = [one(way, 1, int(found), n) for way, found in zip(ways, hits, strict=True)]
        broken += choose(of(one(SINGLE, 9), *drawn), SEQUENCES, wanted, confidence).chosen.way != SINGLE
    allowed = 1 - confidence
    assert 0 < broken / repeats <= allowed + 3 * (allowed * (1 - allowed) / repeats) ** 0.5


def test_each_sequence_gets_its_part_of_the_error():
    assert len(SEQUENCES) == 4
    assert error_of(SEQUENCES, 0.95) == pytest.approx(0.0125)


def test_the_frontier_holds_what_no_other_way_beats():
    measured = [one(SINGLE, 9), one(Way(pack=2), 5, 990), one(Way(pack=4), 6, 980), one(Way(combine=True), 3, 970)]
    assert frontier(measured) == {SINGLE, Way(pack=2), Way(combine=True)}


def test_each_way_to_shorten_is_tried_alone_and_the_strongest_of_all_together():
    names = [way.name for way in texts_of([500, 250], compress=True, keeps=[0.7, 0.4])]
    assert names == [
        "single calls", "compressed", "cut to 500", "cut to 250", "sentences kept to 70%", "sentences kept to 40%",
        "compressed, sentences kept to 40%, cut to 250",
    ]  # fmt: skip
    assert [way.name for way in texts_of([500], compress=False)] == ["single calls", "cut to 500"]

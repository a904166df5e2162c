import numpy as np

from semtel_dagster.surprisal.chance import ChanceScorer


def test_chance_differs_by_seed_and_place_and_is_the_same_again():
    pieces, wanted = ["again", "again"], [True, True]
    one, other = ChanceScorer(1)(pieces, wanted), ChanceScorer(2)(pieces, wanted)
    assert one[0] != one[1]
    assert (one == ChanceScorer(1)(pieces, wanted)).all()
    assert (one != other).all()


def test_chance_is_even_and_tells_only_what_is_asked():
    found = ChanceScorer()([f"sentence {number}" for number in range(2000)], [True] * 1999 + [False])
    assert np.isnan(found[-1])
    assert abs(np.nanmean(found) - 0.5) < 0.05
    assert found[:-1].min() >= 0
    assert found[:-1].max() < 1

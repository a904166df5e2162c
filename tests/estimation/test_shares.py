import numpy as np
import pytest

from semtel_dagster.estimation.shares import Cell, Population, estimate_share


def sums(clusters):
    """Cell and population from {user: [(weight, has the label), ...]}."""
    own = np.array([sum(weight for weight, has in rows if has) for rows in clusters.values()])
    all_ = np.array([sum(weight for weight, _ in rows) for rows in clusters.values()])
    n = sum(len(rows) for rows in clusters.values())
    return (
        Cell(own.sum(), (own**2).sum(), (own * all_).sum()),
        Population(n, len(clusters), all_.sum(), (all_**2).sum()),
    )


def test_the_linearised_variance_by_hand():
    """Users with (label, total) weights (3, 3), (0, 1), (0, 4): p = 3/8, residuals 1.875, -0.375, -1.5."""
    clusters = {"a": [(1, True)] * 3, "b": [(1, False)], "c": [(1, False)] * 4}
    found = estimate_share(*sums(clusters), 0.95)
    variance = 3 / 2 * (1.875**2 + 0.375**2 + 1.5**2) / 8**2
    assert found.share == 3 / 8
    assert found.effective_n == pytest.approx(3 / 8 * 5 / 8 / variance)


def test_one_conversation_per_user_and_equal_weights_is_the_simple_random_sample():
    clusters = {user: [(1.0, user < 30)] for user in range(100)}
    found = estimate_share(*sums(clusters), 0.95)
    assert found.effective_n == pytest.approx(99)


def test_repeating_users_widen_the_interval():
    scattered = {user: [(1.0, user % 2 == 0)] for user in range(60)}
    repeating = {user: [(1.0, user % 2 == 0)] * 6 for user in range(10)}
    wide, narrow = estimate_share(*sums(repeating), 0.95), estimate_share(*sums(scattered), 0.95)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert wide.effective_n < 11


@pytest.mark.parametrize("has", [True, False])
def test_a_share_of_none_or_all_still_has_an_interval_from_the_users(has):
    found = estimate_share(*sums({user: [(2.0, has)] * 3 for user in range(20)}), 0.95)
    assert found.share == float(has)
    assert found.effective_n == pytest.approx(20)
    assert 0.1 < found.high - found.low < 0.25


def test_one_user_says_nothing_about_the_others():
    found = estimate_share(*sums({"only": [(1, True), (1, False)]}), 0.95)
    assert (found.low, found.high) == (0.0, 1.0)


def test_lucky_variances_do_not_make_the_effective_size_exceed_the_conversations():
    clusters = {user: [(1.0, True), (1.0, False)] for user in range(30)}
    assert estimate_share(*sums(clusters), 0.95).effective_n <= 60


@pytest.mark.parametrize(
    ("users", "correlation", "heavy", "share"),
    [(40, 0.0, False, 0.1), (60, 0.2, False, 0.4), (80, 0.2, False, 0.05), (25, 0.2, True, 0.4), (60, 0.0, True, 0.02)],
)
def test_the_intervals_hold_their_level_when_users_repeat_themselves(users, correlation, heavy, share):
    draw = np.random.default_rng(7)
    covered = 0
    for _ in range(600):
        sizes = np.minimum(draw.zipf(1.8, users), 40) if heavy else draw.geometric(0.35, users)
        spread = (1 - correlation) / correlation if correlation else None
        rates = draw.beta(share * spread, (1 - share) * spread, users) if spread else np.full(users, share)
        owners = np.repeat(np.arange(users), sizes)
        weights = draw.choice([1.0, 3.0], owners.size)
        has = draw.random(owners.size) < rates[owners]
        own, whole = np.bincount(owners, weights * has, users), np.bincount(owners, weights, users)
        cell = Cell(own.sum(), (own**2).sum(), (own * whole).sum())
        found = estimate_share(cell, Population(owners.size, users, whole.sum(), (whole**2).sum()), 0.95)
        covered += found.low <= share <= found.high
    assert covered / 600 >= 0.915

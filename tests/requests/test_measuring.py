"""The quota is measured right whatever its window."""

import pytest

from semtel_dagster.requests.measuring import LEAST_S, QuotaMeasure


def measured(events, per_second):
    """Rates measured at (event, end of its pause, accepted since the last one)."""
    measure, rates = QuotaMeasure(), []
    for event_at, resumed_at, accepted in events:
        measure.accepted = accepted
        seconds = measure.seconds(event_at, resumed_at, 0.0)
        if seconds:
            rates.append(accepted / seconds / per_second)
        measure.begin(event_at, resumed_at)
    return measure, rates


def test_nothing_is_measured_before_there_were_two_events():
    assert QuotaMeasure().seconds(1.0, 1.1, 0.0) == 0.0


def test_a_bucket_gives_its_rate_between_events():
    pauses = (0.004, 0.2, 0.004, 0.2, 0.004, 0.2)
    events = [(2.0 * number, 2.0 * number + pause, 100.0) for number, pause in enumerate(pauses)]
    measure, rates = measured(events, 50.0)
    assert rates[1:] == pytest.approx([1.0] * 4)
    assert not measure.by_windows


def test_windows_give_their_quota_between_the_ends_of_pauses():
    used_up_after = (0.95, 0.6, 0.9, 0.55, 0.85, 0.7)
    events = [(number + after, number + 1.0, 50.0) for number, after in enumerate(used_up_after)]
    measure, rates = measured(events, 50.0)
    assert rates[2:] == pytest.approx([1.0] * 3)
    assert measure.by_windows


def test_a_quota_that_halves_does_not_change_what_is_known_of_its_window():
    events = [(2.0 * number, 2.0 * number + 0.01 * (number % 3), 100.0) for number in range(6)]
    events += [(12.0 + 2.0 * number, 12.0 + 2.0 * number + 0.01 * (number % 3), 50.0) for number in range(4)]
    measure, rates = measured(events, 50.0)
    assert not measure.by_windows
    assert rates[-1] == pytest.approx(0.5, rel=0.02)


def test_what_long_pauses_let_expire_does_not_count():
    measure = QuotaMeasure()
    measure.begin(0.0, 3.0)
    measure.accepted = 100.0
    assert measure.seconds(6.0, 8.0, 2.0) == pytest.approx(3.0)


def test_two_events_at_once_do_not_make_an_endless_rate():
    measure = QuotaMeasure()
    measure.begin(1.0, 1.0)
    measure.accepted = 1.0
    assert measure.seconds(1.0, 1.0, 0.0) == LEAST_S

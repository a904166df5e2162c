"""One timer for the earliest of many wishes."""

from math import inf

import pytest

from semtel_dagster.requests.alarm import LEAST_S, Alarm


class Loop:
    """A loop whose clock is turned by hand."""

    def __init__(self):
        self.now, self.timers = 0.0, []

    def call_later(self, delay, function):
        timer = Timer(self.now + delay, function)
        self.timers.append(timer)
        return timer

    def advance(self, to):
        self.now = to
        for timer in [each for each in self.timers if each.at <= to and not each.cancelled]:
            self.timers.remove(timer)
            timer.function()

    @property
    def pending(self):
        return [timer.at for timer in self.timers if not timer.cancelled]


class Timer:
    def __init__(self, at, function):
        self.at, self.function, self.cancelled = at, function, False

    def cancel(self):
        self.cancelled = True


@pytest.fixture
def loop():
    return Loop()


def test_the_earliest_wish_counts_and_rings_once(loop):
    rung = []
    alarm = Alarm(loop, lambda: rung.append(loop.now))
    for at in (5.0, 2.0, 9.0):
        alarm.set(at, loop.now)
    assert loop.pending == [2.0]
    loop.advance(10.0)
    assert rung == [10.0]
    assert loop.pending == []


def test_after_it_rang_it_can_be_set_again(loop):
    rung = []
    alarm = Alarm(loop, lambda: rung.append(loop.now))
    alarm.set(1.0, 0.0)
    loop.advance(1.0)
    alarm.set(3.0, 1.0)
    loop.advance(3.0)
    assert rung == [1.0, 3.0]


def test_no_wish_sets_nothing(loop):
    Alarm(loop, lambda: None).set(inf, 0.0)
    assert loop.pending == []


def test_a_time_that_has_passed_rings_soon_but_not_in_the_same_turn(loop):
    Alarm(loop, lambda: None).set(-5.0, 0.0)
    assert loop.pending == [LEAST_S]

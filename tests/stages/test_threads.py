"""Work on several items at once comes back in order, a few items ahead, and with its errors in their place."""

import threading

import pytest

from semtel_dagster.stages.threads import map_in_order


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_order_of_the_items(threads):
    assert list(map_in_order(lambda number: number * 2, range(50), threads)) == list(range(0, 100, 2))
    assert list(map_in_order(str, [], threads)) == []


def test_items_are_worked_on_at_once():
    meeting = threading.Barrier(2, timeout=20)
    assert list(map_in_order(lambda number: meeting.wait() >= 0, range(4), 2)) == [True] * 4


def test_only_a_few_items_are_read_ahead():
    read = []
    results = map_in_order(lambda number: number, (read.append(number) or number for number in range(100)), 2)
    next(results)
    assert len(read) == 3
    results.close()
    assert len(read) == 3


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_is_raised_at_its_place(threads):
    results = map_in_order(lambda number: 1 // number, [2, 1, 0, 3], threads)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)

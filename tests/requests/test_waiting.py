"""The line of rows, the batches of finished ones, and the rate of the last second."""

from math import inf

import pyarrow as pa
import pytest

from semtel_dagster.requests.outbox import FLUSH_ROWS, Outbox
from semtel_dagster.requests.recent import RecentRate
from semtel_dagster.requests.row import Row
from semtel_dagster.requests.waiting import Waiting
from tests.requests.builders import record


def row(name):
    return Row(name, pa.array([name]), 0, 1)


def test_a_row_that_waits_for_its_time_joins_the_head_of_the_line():
    waiting = Waiting()
    first, late = row("first"), row("late")
    waiting.ready.append(first)
    waiting.after(late, 5.0)
    waiting.call_up(4.9)
    assert (list(waiting.ready), waiting.next_at, len(waiting)) == ([first], 5.0, 2)
    waiting.call_up(5.0)
    assert (list(waiting.ready), waiting.next_at) == ([late, first], inf)


def test_an_endpoint_that_is_out_is_probed_with_a_row_that_gave_no_cause_for_suspicion():
    waiting = Waiting()
    choking, sound = row("choking"), row("sound")
    choking.suspect = True
    waiting.ready.extend([choking, sound])
    assert waiting.take_for_probe() is sound
    assert waiting.take_for_probe() is choking
    assert not waiting.ready


def test_draining_takes_every_row():
    waiting = Waiting()
    waiting.ready.append(row("a"))
    waiting.back_off(row("b"), 0.0)
    assert len(waiting.drain()) == 2
    assert len(waiting) == 0


def test_finished_rows_are_handed_over_in_batches_with_those_of_the_same_text():
    batches = []
    outbox = Outbox(batches.append, 1000.0)
    outbox.put(record("a"), followers=2)
    outbox.put(record("b", status="failed"), followers=0)
    assert (outbox.answered, outbox.failed, batches) == (3, 1, [])
    outbox.put(record("c"), followers=FLUSH_ROWS - 5)
    assert [len(batch) for batch in batches] == [FLUSH_ROWS]
    outbox.flush()
    assert len(batches) == 1


def test_the_recent_rate_forgets_what_is_older_than_a_second_and_what_was_refused():
    recent = RecentRate()
    for tenth in range(40):
        recent.add(tenth / 10, 5.0 if tenth >= 20 else 100.0)
    assert recent.per_second(3.9) == pytest.approx(50, rel=0.15)
    recent.take_back(25.0)
    assert recent.per_second(3.9) == pytest.approx(27, rel=0.15)

"""Answers are written at once, shown when they are durable, and never held up by a slow disk."""

import queue
import threading

import pytest

from semtel_dagster.requests.recorder import Recorder
from tests.requests.builders import record


class Disk:
    """A writer whose syncs wait until they are let go."""

    def __init__(self):
        self.written, self.closed = [], False
        self.may_sync = threading.Event()
        self.fault = None

    def write(self, batch):
        if self.fault:
            raise self.fault
        self.written.append(batch.num_rows)

    def sync(self):
        self.may_sync.wait(30)

    def close(self):
        self.closed = True


@pytest.fixture
def disk():
    return Disk()


def drain(output):
    items = []
    while (item := output.get(timeout=30)) is not None:
        items.append(item)
    return items


def wait_until(holds):
    for _ in range(3000):
        if holds():
            return
        threading.Event().wait(0.01)
    raise TimeoutError


def test_newer_answers_are_written_while_the_disk_is_slow_and_shown_only_when_it_is_done(disk):
    output = queue.SimpleQueue()
    recorder = Recorder(disk, output)
    for number in range(3):
        recorder.put([record(str(number))])
        wait_until(lambda: len(disk.written) == number + 1)  # noqa: B023
    assert output.empty()
    disk.may_sync.set()
    recorder.close()
    assert [batch.num_rows for batch in drain(output)] == [1, 1, 1]
    assert disk.closed


def test_what_would_not_recur_is_shown_but_not_written(disk):
    output = queue.SimpleQueue()
    disk.may_sync.set()
    recorder = Recorder(disk, output)
    recorder.put([record("kept"), (*record("passing", status="failed")[:-1], False)])
    recorder.close()
    assert [batch.num_rows for batch in drain(output)] == [2]
    assert disk.written == [1]


def test_a_fault_of_the_disk_comes_out_as_itself_and_the_end_comes_after_it(disk):
    output = queue.SimpleQueue()
    disk.may_sync.set()
    disk.fault = OSError(28, "No space left on device")
    recorder = Recorder(disk, output)
    recorder.put([record("a")])
    recorder.close()
    assert drain(output) == [disk.fault]

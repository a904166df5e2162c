"""kill -9 between upload, creation, recording and collecting: nothing is made, asked or paid twice, nothing is lost."""

import pytest

from semtel_dagster.loopback.process import serve
from tests.batches.builders import Partition, paid, script, statuses
from tests.batches.dying import STEPS, run_and_die
from tests.requests.builders import texts

ROWS = 60


def end_to_end(server, folder, *deaths):
    """A partition whose processes die one after the other; then it is finished here."""
    for number, step in enumerate(deaths):
        run_and_die(folder, server.port, ROWS, "poll" if number else "make", step)
    partition = Partition(folder, server, texts(ROWS))
    return partition, partition.finish()


def assert_each_was_answered_once(server, made):
    stats = server.stats(conversations=False)
    assert statuses(made) == {"answered": ROWS}
    assert stats["batches_created"] == 1
    assert paid(server) == {1: ROWS}


def test_one_process_after_the_other_dies_and_each_conversation_is_answered_once(tmp_path):
    with serve(script()) as server:
        partition, made = end_to_end(server, tmp_path, "after upload", "after create", "after lines")
        assert_each_was_answered_once(server, made)
        assert server.stats(conversations=False)["files_uploaded"] == 1
        assert [batch.ending for batch in partition.store.all()] == ["completed"]


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_death_at_any_step(tmp_path, step):
    with serve(script(row_error_share=0.1)) as server:
        _, made = end_to_end(server, tmp_path, step)
        assert_each_was_answered_once(server, made)


@pytest.mark.slow
def test_the_partition_may_also_be_made_again_first(tmp_path):
    """Without a poll in between: the run that comes next meets what the dead one has left."""
    with serve(script(delay_s=60)) as server:
        run_and_die(tmp_path, server.port, ROWS, "make", "after create")
        partition = Partition(tmp_path, server, texts(ROWS))
        assert statuses(partition.make()) == {"waiting": ROWS}
        assert statuses(partition.make()) == {"waiting": ROWS}
        partition.poll()
        assert server.stats()["batches_created"] == 1

"""What the journal knows is not asked; the figures count both."""

import pytest

from semtel_dagster.requests.figures import Figures
from semtel_dagster.requests.journal import Journal
from semtel_dagster.requests.live import PROGRESS_S, RATE_WINDOW_S, LiveFigures
from semtel_dagster.requests.lookup import Lookup
from tests.requests.builders import batch_of, batches, hash_of, record, texts


@pytest.fixture
def lookup(tmp_path):
    writer = Journal(tmp_path, "colour", "f" * 16).writer()
    writer.append(batch_of(record("conversation 1"), record("conversation 3", status="failed")))
    writer.close()
    return Lookup(Journal(tmp_path, "colour", "f" * 16), ["m"])


def test_a_batch_is_split_by_what_the_journal_knows(lookup):
    (batch,) = batches(texts(4))
    split = lookup.split(batch)
    assert [hash_of("conversation 1"), hash_of("conversation 3")] == split.found["content_hash"].to_pylist()
    assert [row.text for row in split.rows] == ["conversation 0", "conversation 2"]
    assert (lookup.found, lookup.failed) == (2, 1)


def test_a_batch_of_which_all_or_nothing_is_known_has_one_part(lookup):
    (known,), (unknown,) = batches(["conversation 1"]), batches(["new", "newer"])
    assert (lookup.split(known).rows, lookup.split(known).size) == ([], 0)
    assert lookup.split(unknown).found is None
    assert lookup.split(unknown).size == len("new") + len("newer")


def test_the_figures_add_what_was_found_and_tell_the_rate_of_the_last_seconds(lookup):
    (batch,) = batches(texts(4))
    lookup.split(batch)
    now, shown = [100.0], []
    live = LiveFigures(shown.append, 10, lambda: now[0])
    asked = Figures(done=0)
    for second in range(int(2 * RATE_WINDOW_S) + 1):
        now[0] = 100.0 + second * PROGRESS_S
        live.show(lambda: Figures(done=10 * second, answered=10 * second), lookup)  # noqa: B023
    assert len(shown) == 2 * RATE_WINDOW_S
    assert (shown[-1].done, shown[-1].answered, shown[-1].failed, shown[-1].from_journal) == (202, 201, 1, 2)
    assert shown[-1].rate == pytest.approx(10 / PROGRESS_S)
    live.show(lambda: asked, lookup)
    assert len(shown) == 2 * RATE_WINDOW_S
    live.show(lambda: asked, lookup, final=True)
    assert (shown[-1].done, shown[-1].total) == (2, 10)

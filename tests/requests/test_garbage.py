"""Collections are rare while a run lasts, and as before afterwards."""

import gc

import pytest

from semtel_dagster.loopback.process import serve
from semtel_dagster.requests.garbage import RARE, rare_collections
from tests.requests.builders import endpoint, plan, run, texts


@pytest.fixture(autouse=True)
def usual():
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield (700, 10, 10)
    gc.set_threshold(*before)


def test_the_last_run_that_ends_puts_the_thresholds_back(usual):
    with rare_collections():
        assert gc.get_threshold() == RARE
        with rare_collections():
            pass
        assert gc.get_threshold() == RARE
    assert gc.get_threshold() == usual


def test_a_fault_puts_them_back_too(usual):
    with pytest.raises(RuntimeError), rare_collections():
        raise RuntimeError
    assert gc.get_threshold() == usual


def test_who_collects_more_rarely_still_or_never_is_left_alone():
    gc.set_threshold(0, 10, 10)
    with rare_collections():
        assert gc.get_threshold()[0] == 0
    gc.set_threshold(100_000, 10, 10)
    with rare_collections():
        assert gc.get_threshold()[0] == 100_000


def test_a_run_leaves_the_process_as_it_was(usual, tmp_path):
    with serve() as server:
        run(plan(tmp_path, endpoint(server.base_url)), texts(20))
    assert gc.get_threshold() == usual

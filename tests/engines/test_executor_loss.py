"""An executor dies in the middle of classify: nothing is lost, and hardly anything is paid for twice."""

import time

import pytest

from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from tests.engines.classify_apart import SLOT, Order, hashes
from tests.engines.cluster import standalone

ROWS = 1200
BEFORE_THE_LOSS = 400
IN_FLIGHT = 20
OLD_S = 1.0  # answers this old are in the journal

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def wait_for_answers(server, count, driver):
    until = time.monotonic() + 420
    while server.stats(conversations=False)["answered"] < count:
        assert driver.poll() is None, "the run ended before the loss"
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.timeout(1200)
def test_a_killed_worker_costs_only_what_was_not_yet_in_the_journal(tmp_path):
    pytest.importorskip("pyspark")
    script = Script(latency={"median_s": 0.4, "sigma": 0.3}, slot=SLOT)
    with serve(script) as server, standalone(tmp_path, workers=2) as cluster:
        order = Order(cluster.master, server.base_url, str(tmp_path), ROWS, endpoint={"max_in_flight": IN_FLIGHT})
        driver = order.start()
        try:
            wait_for_answers(server, BEFORE_THE_LOSS, driver)
            old = server.stats()["paid_transcripts"]
            time.sleep(OLD_S)
            at_loss = server.stats()["paid_transcripts"]
            cluster.kill(0)
            assert driver.wait(420) == 0, (tmp_path / "driver.log").read_text()[-3000:]
        finally:
            driver.kill()
            driver.wait()
        paid = server.stats()["paid_transcripts"]
    answers = order.answers()
    assert set(answers["content_hash"]) == hashes(ROWS) == set(paid)
    assert answers.height == ROWS
    assert set(answers["status"]) == {"answered"}
    assert len(old) < len(at_loss) < ROWS, "the loss came in the middle"
    assert [name for name in old if paid[name] > 1] == []
    twice = {name for name, times in paid.items() if times > 1}
    assert len(twice) <= len(at_loss.keys() - old.keys()) + IN_FLIGHT
    assert order.paid_for() == ROWS
    assert answers["from_journal"].sum() > 0, "the dead task's answers came from the journal"

"""Two executors with two tasks each share an endpoint's quota.

How much of the quota they reach is measured by benchmarks/budget_sharing.py: it depends on the machine, which no test
may. Here: the quota is never passed, refusals stay the exception, and no row is lost.
"""

import pytest

from benchmarks.budget_sharing import share

pytestmark = [pytest.mark.spark, pytest.mark.slow]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("told", [True, False], ids=["told", "learned"])
def test_four_tasks_share_a_quota_and_no_row_is_lost(told):
    pytest.importorskip("pyspark")
    found = share(rows=1200, per_minute=2400, told=told)
    assert found.lost == 0
    assert found.steady <= 1.1, "more than the quota grants: the oracle is wrong"
    assert found.refused <= 0.08

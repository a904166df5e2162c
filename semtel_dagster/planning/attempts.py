"""How often a partition was tried for the same end, so that nothing is tried for ever.

A level-triggered retry without a cap has produced hundreds of thousands of runs elsewhere. Belongs here: counting
runs by their tag. Who launches runs belongs in `sensors`.
"""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

TAG = "semtel/catch-up"
UNDER_WAY = {
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
}


@dataclass(frozen=True)
class Attempts:
    """What became of the runs for one end.

    Attributes:
        ended: Runs that ended, whatever the way.
        under_way: Whether one is queued or runs.
    """

    ended: int
    under_way: bool


def attempts_at(instance: dg.DagsterInstance, end: str) -> Attempts:
    """The runs that carry this end in their tag."""
    statuses = [run.status for run in instance.get_runs(dg.RunsFilter(tags={TAG: end}))]
    under_way = [status for status in statuses if status in UNDER_WAY]
    return Attempts(len(statuses) - len(under_way), bool(under_way))

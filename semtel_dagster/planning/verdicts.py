"""The check `answers_are_current`: its name, and whether what it said last still stands.

The check itself is in `currency`; `sensors` has it run again.
"""

from __future__ import annotations

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from semtel_dagster.planning.attempts import UNDER_WAY

ASSET, NAME = "responses", "answers_are_current"
KEY = dg.AssetCheckKey(dg.AssetKey(ASSET), NAME)


def outlived(instance: dg.DagsterInstance) -> bool:
    """Whether the last verdict was that something is stale, and weeks have been labelled since, and all runs ended."""
    last = instance.get_latest_asset_check_evaluation_record(KEY)
    labelled = instance.get_latest_materialization_event(dg.AssetKey("label_shares"))
    if last is None or labelled is None or last.status != AssetCheckExecutionRecordStatus.FAILED:
        return False
    under_way = instance.get_runs_count(dg.RunsFilter(statuses=list(UNDER_WAY)))
    return labelled.timestamp > last.create_timestamp and not under_way

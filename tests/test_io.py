"""Assets of one's own beside ours: they read our tables as Polars frames, and write such frames."""

import dagster as dg
import polars as pl

from semtel_dagster.definitions import build_defs
from tests.pipeline import FIRST_WEEK, conversation, project, run_weeks, table


def test_an_asset_of_ones_own_reads_and_writes_polars_frames(tmp_path):
    settings = project(tmp_path, [conversation(n, f"question {n * 17}", "answer") for n in range(7)])
    run_weeks(settings, report=False)
    ours = build_defs(settings)
    weekly = ours.resolve_asset_graph().get(dg.AssetKey("sampled_conversations")).partitions_def

    @dg.asset(partitions_def=weekly, io_manager_key="io_manager")
    def turns_per_conversation(
        truncated_conversations: pl.DataFrame, sampled_conversations: pl.LazyFrame
    ) -> pl.DataFrame:
        sampled = sampled_conversations.select("conversation_id").collect()
        return truncated_conversations.join(sampled, on="conversation_id").select("conversation_id", "n_turns", "week")

    defs = dg.Definitions.merge(ours, dg.Definitions([turns_per_conversation]))
    job = defs.resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(partition_key=FIRST_WEEK, asset_selection=[turns_per_conversation.key])
    assert done.success
    assert table(settings, "turns_per_conversation")["n_turns"].to_list() == [2] * 7


def test_a_missing_upstream_table_is_told_with_the_mend(tmp_path):
    settings = project(tmp_path, [])
    job = build_defs(settings).resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(
        partition_key=FIRST_WEEK, asset_selection=[dg.AssetKey("sampled_conversations")], raise_on_error=False
    )
    failures = " ".join(str(event.event_specific_data) for event in done.all_events if event.is_failure)
    assert "materialize the upstream partition first" in failures

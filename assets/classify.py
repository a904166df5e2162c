"""The models' raw answers about each distinct conversation, kept as they came."""

from dataclasses import replace

import dagster as dg

from semtel_dagster import interrupts, tables
from semtel_dagster.automation import PROMPTS, weekly
from semtel_dagster.classifiers import Prompts
from semtel_dagster.engines.base import Engine, Frame, count_rows
from semtel_dagster.partitions import Partitions, classifier_of
from semtel_dagster.planning.budgets import under_budget
from semtel_dagster.progress import Progress
from semtel_dagster.prompts.archive import keep
from semtel_dagster.repair import AskAndRepair
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import Settings

POOL = "llm"


def build(partitions: Partitions) -> dg.AssetsDefinition:
    """`responses`, by week and classifier."""

    @dg.asset(
        partitions_def=partitions.grid,
        group_name="label",
        kinds={"openai", "parquet"},
        pool=POOL,
        deps=[PROMPTS],
        automation_condition=weekly(),
    )
    def responses(
        context: dg.AssetExecutionContext,
        distinct_conversations: Frame,
        settings: dg.ResourceParam[Settings],
        prompts: dg.ResourceParam[Prompts],
        request_plan: dg.ResourceParam[RequestPlan],
        progress: dg.ResourceParam[Progress],
        engine: dg.ResourceParam[Engine],
    ) -> Frame:
        """One raw answer per distinct conversation. What was paid for before comes from the journal."""
        prompt = prompts[classifier_of(context.partition_key)]
        keep(prompt, settings.storage)
        interrupts.listen()
        context.add_output_metadata({"prompt_fingerprint": prompt.fingerprint})
        plan, total = under_budget(request_plan, context), count_rows(distinct_conversations)
        classify = ClassifyBatches(prompt, plan, progress.listener(context), total)
        return ask(distinct_conversations, classify, engine)

    return responses


def ask(distinct: Frame, classify: ClassifyBatches, engine: Engine) -> Frame:
    """The answers by content hash, asked for by all of the engine's tasks, each with its share of the endpoints."""
    shared = replace(classify, plan=classify.plan.shared_by(engine.tasks))
    spread = engine.spread(distinct, "content_hash")
    return engine.map_batches(spread, AskAndRepair(shared), tables.RESPONSES).sort("content_hash")

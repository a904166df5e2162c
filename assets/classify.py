"""The models' raw answers about each distinct conversation, kept as they came."""

from dataclasses import replace

import dagster as dg

from semtel_dagster import interrupts, tables
from semtel_dagster.automation import PROMPTS, weekly
from semtel_dagster.batches.splitting import answering_models, let_wait
from semtel_dagster.cascade.answering import Answered
from semtel_dagster.cascade.standing import OFF, Cascade, standing
from semtel_dagster.checks import stop_at_gate
from semtel_dagster.classifiers import Prompts
from semtel_dagster.engines.base import Engine, Frame, count_rows
from semtel_dagster.packing.asking import Company, asking, company_of
from semtel_dagster.partitions import Partitions, classifier_of, week_of
from semtel_dagster.planning.budgets import RunCaps, under_budget
from semtel_dagster.progress import Progress
from semtel_dagster.prompts.archive import keep
from semtel_dagster.reducers import BatchSettings
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
        config: RunCaps,
        distinct_conversations: Frame,
        settings: dg.ResourceParam[Settings],
        prompts: dg.ResourceParam[Prompts],
        request_plan: dg.ResourceParam[RequestPlan],
        progress: dg.ResourceParam[Progress],
        engine: dg.ResourceParam[Engine],
    ) -> Frame:
        """One raw answer per distinct conversation. What was paid for before comes from the journal."""
        stop_at_gate(context, settings, prompts, request_plan)
        prompt = prompts[classifier_of(context.partition_key)]
        keep(prompt, settings.storage)
        interrupts.listen()
        context.add_output_metadata({"prompt_fingerprint": prompt.fingerprint})
        plan, total = under_budget(request_plan, context, config, settings.storage), count_rows(distinct_conversations)
        classify = ClassifyBatches(prompt, plan, progress.listener(context), total)
        company = company_of(settings, prompts, prompt.classifier.name)
        week = week_of(context.partition_key)
        cascade = standing(settings, prompt, week)
        context.add_output_metadata(cascade.as_metadata() | (company.as_metadata() if company else {}))
        return ask(distinct_conversations, classify, engine, settings.batch, week, company, cascade)

    return responses


def ask(distinct: Frame, classify: ClassifyBatches, engine: Engine, batch: BatchSettings, week: str,
        company: Company | None = None, cascade: Cascade = OFF) -> Frame:  # fmt: skip
    """The answers by content hash, asked for by all of the engine's tasks, each with its share of the endpoints.

    What may wait goes into batch files first, and has no answer yet in this table. Calls in company are not batched:
    their answers are filed under names of their own, and a batch would ask again what they have answered. What a
    student is sure of is not asked at all.
    """
    waits = batch if company is None else batch.model_copy(update={"enabled": False})
    shared = replace(classify, plan=classify.plan.shared_by(engine.tasks))
    prompt, plan = classify.prompt, classify.plan
    models = answering_models(prompt, plan)
    answered = Answered(plan.journal, prompt.classifier.name, prompt.fingerprint, models, company)
    left = cascade.left(distinct, answered, engine)
    function = let_wait(asking(shared, company), left, engine, prompt, plan, waits, week)
    spread = engine.spread(cascade.with_vectors(distinct, engine), "content_hash")
    return engine.map_batches(spread, cascade.answering(function, answered), tables.RESPONSES).sort("content_hash")

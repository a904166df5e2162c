"""How good a classifier's labels are: human labels, and what `semtel evaluate` finds. Made by hand, never weekly."""

import dagster as dg

from assets.classify import POOL
from semtel_dagster.automation import PROMPTS
from semtel_dagster.checks import gate_decision, gate_metadata
from semtel_dagster.classifiers import Prompts
from semtel_dagster.evaluation.golden import load_golden
from semtel_dagster.evaluation.injections import load_attacks
from semtel_dagster.evaluation.records import load
from semtel_dagster.partitions import CLASSIFIER, Partitions
from semtel_dagster.progress import Progress
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import Settings
from semtel_dagster.trials.figures import figures_of, gold_figures, words_of
from semtel_dagster.trials.measuring import gold_fingerprint
from semtel_dagster.trials.page import write_page
from semtel_dagster.trials.running import Trial, plans_by_model, run

GROUP = "evaluation"


class EvaluationConfig(dg.Config):
    """What `semtel evaluate` takes as options.

    Attributes:
        sample: Conversations without labels, at most.
        repeats: How often each is asked: self-consistency.
        injections: Whether attacks are tried, too.
        seed: Of bootstraps and permutations.
    """

    sample: int = 200
    repeats: int = 1
    injections: bool = False
    seed: int = 0


def build(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """`golden_cases` and `evaluation_results`, by classifier."""
    by_classifier = partitions.grid.get_partitions_def_for_dimension(CLASSIFIER)
    # Read from stored weeks, but due by none of them: "Materialize all" then still asks for weeks, as it does not where
    # a graph has roots with different partitions, and a backfill of weeks evaluates nothing.
    conversations = dg.AssetDep("truncated_conversations", partition_mapping=dg.SpecificPartitionsPartitionMapping([]))

    @dg.asset(partitions_def=by_classifier, group_name=GROUP, deps=[conversations])
    def golden_cases(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], prompts: dg.ResourceParam[Prompts]
    ) -> dg.MaterializeResult[None]:
        """The human labels that the setting `gold` names: cases, annotators, and how far these agree."""
        tasks = prompts[context.partition_key].classifier.tasks
        golden = load_golden([settings.gold] if settings.gold else [])
        version = dg.DataVersion(gold_fingerprint(golden, tasks) or "none")
        return dg.MaterializeResult(metadata=gold_figures(golden, tasks), data_version=version)

    @dg.asset(
        partitions_def=by_classifier,
        group_name=GROUP,
        kinds={"openai", "html"},
        pool=POOL,
        deps=[PROMPTS, golden_cases],
    )
    def evaluation_results(
        context: dg.AssetExecutionContext,
        config: EvaluationConfig,
        settings: dg.ResourceParam[Settings],
        prompts: dg.ResourceParam[Prompts],
        request_plan: dg.ResourceParam[RequestPlan],
        progress: dg.ResourceParam[Progress],
    ) -> dg.MaterializeResult[None]:
        """The prompt on every model, against people and the baseline; kept beside those of `semtel evaluate`."""
        name = context.partition_key
        trial = Trial(
            settings=settings,
            prompts={name: prompts[name]},
            golden=load_golden([settings.gold] if settings.gold else []),
            sample=config.sample,
            repeats=config.repeats,
            attacks=load_attacks() if config.injections else (),
            seed=config.seed,
        )
        models = plans_by_model(request_plan)
        found = [each for _, each in run(trial, models, progress.listener(context)) if each is not None]
        page = write_page(settings.storage, found, {name: load(settings.storage, name)})
        return dg.MaterializeResult(
            metadata={**figures_of(found), **words_of(found), "page": dg.MetadataValue.url(page.as_uri())}
        )

    return [golden_cases, evaluation_results]


def build_check(partitions: Partitions) -> dg.AssetChecksDefinition:
    """The gate beside the figures that decide it."""

    @dg.asset_check(
        asset="evaluation_results", partitions_def=partitions.grid.get_partitions_def_for_dimension(CLASSIFIER)
    )
    def verdict_lets_it_run(
        context: dg.AssetCheckExecutionContext,
        settings: dg.ResourceParam[Settings],
        prompts: dg.ResourceParam[Prompts],
        request_plan: dg.ResourceParam[RequestPlan],
    ) -> dg.AssetCheckResult:
        """Whether runs of this classifier are let through, as the check on its answers will decide."""
        decision = gate_decision(context.partition_key, settings, prompts, request_plan)
        return dg.AssetCheckResult(
            passed=decision.passed, metadata=gate_metadata(decision), description=decision.because
        )

    return verdict_lets_it_run

"""The students that answer beside the models, where the settings let them. Made by hand: training changes answers."""

import dagster as dg

from semtel_dagster.automation import PROMPTS
from semtel_dagster.cascade.figures import figures_of
from semtel_dagster.cascade.standing import check_names, promise, train_student
from semtel_dagster.cascade.store import save
from semtel_dagster.classifiers import Prompts
from semtel_dagster.partitions import CLASSIFIER, Partitions, classifier_of
from semtel_dagster.settings import Settings


def build(settings: Settings, prompts: Prompts, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """`cascade_students`, by classifier, where the cascade is switched on."""
    if not settings.cascade.classifiers:
        return []
    check_names(settings, prompts)
    # Trained on stored weeks, but due by none of them, as evaluation_results.
    labels = dg.AssetDep("labels", partition_mapping=dg.SpecificPartitionsPartitionMapping([]))

    @dg.asset(
        partitions_def=partitions.grid.get_partitions_def_for_dimension(CLASSIFIER),
        group_name="label",
        kinds={"scikitlearn"},
        deps=[PROMPTS, labels],
    )
    def cascade_students(
        context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], prompts: dg.ResourceParam[Prompts]
    ) -> dg.MaterializeResult[None]:
        """A small model per classifier, trained on stored embeddings and labels, and what it promises."""
        prompt = prompts[context.partition_key]
        trained = train_student(settings, prompt)
        folder = save(settings.storage, prompt.classifier.name, trained)
        figures = figures_of(trained) | {"prompt_fingerprint": prompt.fingerprint}
        return dg.MaterializeResult(
            metadata={**figures, "folder": dg.MetadataValue.path(str(folder))},
            data_version=dg.DataVersion(trained.version),
        )

    return [cascade_students]


def build_checks(settings: Settings, partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """`cascade_keeps_its_promise` on `labels`, where the cascade is switched on."""
    if not settings.cascade.classifiers:
        return []

    @dg.asset_check(asset="labels", partitions_def=partitions.grid)
    def cascade_keeps_its_promise(
        context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings], prompts: dg.ResourceParam[Prompts]
    ) -> dg.AssetCheckResult:
        """Warns where the share that is asked anyway speaks against what the student promised."""
        found = promise(settings, prompts[classifier_of(context.partition_key)])
        return dg.AssetCheckResult(
            passed=found.holds,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=found.figures,
            description=found.because,
        )

    return [cascade_keeps_its_promise]

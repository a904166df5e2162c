"""The composition root: settings in, Definitions out. The only module that imports the assets.

`dagster dev`, `workspace.yaml` and the command line all come through here.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from assets import (
    aggregate,
    cascade,
    classify,
    conversations,
    embed_dedupe,
    evaluation,
    parse,
    report,
    sample,
    truncate,
)
from assets import prompts as prompt_files
from semtel_dagster import automation, checks, collecting, currency, sensors
from semtel_dagster.embedding import zero_shot
from semtel_dagster.engines.base import Engine
from semtel_dagster.io import dataset_io_manager
from semtel_dagster.jobs import LABEL_JOB, PARSE_JOB, PREPARE_JOB, REPORT_JOB
from semtel_dagster.packing.asking import company_of
from semtel_dagster.partitions import make_partitions
from semtel_dagster.progress import Progress
from semtel_dagster.prompts.loader import load_classifiers
from semtel_dagster.requests.plan import plan_for
from semtel_dagster.settings import Settings, load_settings


def build_defs(settings: Settings, *, progress: Progress | None = None) -> dg.Definitions:
    """Everything that Dagster needs to know, for given settings.

    Args:
        settings: What the user set.
        progress: Who watches long steps, besides Dagster's event log.

    Raises:
        SettingsError: A prompt file or a setting is wrong.
    """
    prompts = load_classifiers(settings.prompts, settings.classifiers)
    for name in prompts:
        company_of(settings, prompts, name)  # a group that does not go together is told before anything runs
    partitions = make_partitions(settings.first_week, list(prompts))
    engine = make_engine(settings)
    prepare = [
        conversations.build(partitions),
        sample.build(partitions),
        truncate.build(partitions),
        *embed_dedupe.build(partitions),
    ]
    label = [classify.build(partitions), parse.build(partitions), aggregate.build(partitions)]
    publish = [report.build(partitions)]
    prepare, label, publish = (automation.at(settings.cadence, each) for each in (prepare, label, publish))
    row_checks = [*checks.build(partitions), *collecting.build_checks(settings, partitions)]
    row_checks += cascade.build_checks(settings, partitions)
    students = cascade.build(settings, prompts, partitions)
    catching_up = currency.build()
    jobs = [
        dg.define_asset_job(PREPARE_JOB, dg.AssetSelection.assets(*prepare)),
        dg.define_asset_job(LABEL_JOB, dg.AssetSelection.assets(*label) - dg.AssetSelection.checks(catching_up)),
        dg.define_asset_job(PARSE_JOB, dg.AssetSelection.assets(*label[1:])),
        dg.define_asset_job(REPORT_JOB, dg.AssetSelection.assets(*publish)),
    ]
    return dg.Definitions(
        assets=[prompt_files.build(partitions), *prepare, *label, *publish, *students, *evaluation.build(partitions)],
        asset_checks=[*row_checks, catching_up, evaluation.build_check(partitions)],
        jobs=jobs,
        sensors=[
            automation.cadence_sensor(),
            automation.looking_sensor(),
            *sensors.build(settings, jobs),
            *collecting.build_sensors(settings, jobs),
        ],
        resources=_resources(
            settings=settings,
            prompts=prompts,
            engine=engine,
            request_plan=plan_for(settings, zero_shot.load),
            progress=progress or Progress(),
            io_manager=dataset_io_manager,
        ),
        executor=dg.in_process_executor,
    )


def make_engine(settings: Settings) -> Engine:
    """The engine of the environment; a Spark session starts when the first frame is made.

    Raises:
        SettingsError: The section `spark` of the settings is wrong.
    """
    if settings.engine == "spark":
        from semtel_dagster.engines.session import SparkSessions
        from semtel_dagster.engines.spark import SparkEngine

        return SparkEngine(SparkSessions(settings.spark))
    from semtel_dagster.engines.polars import PolarsEngine

    return PolarsEngine()


def _resources(**resources: Any) -> dict[str, Any]:
    return resources


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev` loads: the settings file or the environment decide."""
    return build_defs(load_settings())

"""How batches come home: polled without holding a run, then the partitions that waited are made again from the journal.

Belongs here: what the sensor `collect_batches` and `semtel collect` share, the sensor, and the check that says what
waits. What a poll does belongs in `batches`.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import dagster as dg
import narwhals as nw
import polars as pl
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from semtel_dagster.batches.batch import WAITING, Batch
from semtel_dagster.batches.store import Store
from semtel_dagster.batches.tending import Tender
from semtel_dagster.classifiers import Prompts
from semtel_dagster.datasets import partition_folder
from semtel_dagster.engines.base import Frame, count_rows
from semtel_dagster.errors import SemtelError
from semtel_dagster.jobs import LABEL_JOB, REPORT_JOB
from semtel_dagster.partitions import Partitions, classifier_of, grid_key
from semtel_dagster.planning.attempts import TAG, attempts_at
from semtel_dagster.planning.history import History
from semtel_dagster.planning.project import Project
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import Settings

Jobs: TypeAlias = Sequence[UnresolvedAssetJobDefinition]
SENSOR, CHECK = "collect_batches", "batches_have_answered"


def tender_of(settings: Settings, plan: RequestPlan) -> Tender:
    """Who moves the storage's batches on."""
    endpoints = {endpoint.name: endpoint for endpoint in plan.endpoints}
    return Tender(Store.beside(plan.journal), plan.journal, endpoints, settings.batch)


def answered_partitions(project: Project, history: History) -> list[tuple[str, str]]:
    """Weeks and classifiers with conversations that wait for no open batch any more: made again they have answers.

    One whose prompt has changed since is left to `semtel backfill`: making it again would ask everything anew.
    """
    store = Store.beside(project.request_plan.journal)
    found = []
    for (week, classifier), made in sorted(history.grid.get("responses", {}).items(), reverse=True):
        prompt = project.prompts.get(classifier)
        if not made.metadata.get(WAITING) or prompt is None:
            continue
        if made.metadata.get("prompt_fingerprint") == prompt.fingerprint:
            waiting = _waiting(project.settings.storage, week, classifier)
            if waiting - store.waiting(classifier, prompt.fingerprint):
                found.append((week, classifier))
    return found


def build_sensors(settings: Settings, jobs: Jobs) -> list[dg.SensorDefinition]:
    """`collect_batches`, where batches are switched on; it runs by default, since what it brings is paid for."""
    if not settings.batch.enabled:
        return []

    @dg.sensor(
        name=SENSOR,
        jobs=jobs,
        minimum_interval_seconds=settings.batch.poll_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks at open batches, takes their answers into the journal, and makes the weeks again that "
        "waited for them. What a batch left unanswered is asked online then.",
    )
    def collect_batches(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        """Polls once; requests each run at most once, and a bounded number of times when it fails."""
        try:
            project = Project.of(settings)
            tender = tender_of(settings, project.request_plan)
            batches = tender.tend_all()
        except SemtelError as error:
            yield dg.SkipReason(str(error))
            return
        requests = list(next_runs(project, context.instance))
        yield from requests
        if not requests:
            yield dg.SkipReason(in_words(batches, tender.faults))

    return [collect_batches]


def next_runs(project: Project, instance: dg.DagsterInstance) -> Iterator[dg.RunRequest]:
    """The runs that bring collected answers into the tables: labels first, a week's report when none of it is due."""
    history = History.read(instance)
    due = answered_partitions(project, history)
    for week, classifier in due:
        made = history.grid["responses"][week, classifier]
        aim = f"{SENSOR}|{week}|{classifier}|{made.storage_id}"
        tried = attempts_at(instance, aim)
        if not tried.under_way and tried.ended <= project.settings.backfill.max_retries:
            yield dg.RunRequest(
                run_key=f"{aim}|{tried.ended}",
                job_name=LABEL_JOB,
                partition_key=grid_key(week, classifier),
                tags={TAG: aim},
            )
    batched = {week for (week, _), made in history.grid.get("responses", {}).items() if made.metadata.get("batched")}
    reported = set(history.weekly.get("weekly_report", {}))
    for week in sorted((batched & reported) - {week for week, _ in due}, reverse=True):
        if not history.is_reported(week):
            key = f"{REPORT_JOB}|{week}|{history.newest_shares(week)}"
            yield dg.RunRequest(run_key=key, job_name=REPORT_JOB, partition_key=week)


def build_checks(settings: Settings, partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """`batches_have_answered` on `responses`, where batches are switched on."""
    if not settings.batch.enabled:
        return []

    @dg.asset_check(name=CHECK, asset="responses", partitions_def=partitions.grid)
    def batches_have_answered(
        context: dg.AssetCheckExecutionContext,
        responses: Frame,
        prompts: dg.ResourceParam[Prompts],
        request_plan: dg.ResourceParam[RequestPlan],
    ) -> dg.AssetCheckResult:
        """Warns while conversations wait for a batch, and says how many and since when."""
        prompt = prompts[classifier_of(context.partition_key)]
        waiting = count_rows(responses.filter(nw.col("status") == WAITING))
        batches = Store.beside(request_plan.journal).of(prompt.classifier.name, prompt.fingerprint)
        since = min((batch.made_at for batch in batches if batch.is_open), default=None)
        return verdict(waiting, since)

    return [batches_have_answered]


def verdict(waiting: int, since: float | None) -> dg.AssetCheckResult:
    """Passed when nothing waits; else a warning with the count and the time of the oldest open batch."""
    at = "" if since is None else f" since {dt.datetime.fromtimestamp(since, dt.UTC):%Y-%m-%d %H:%M} UTC"
    told = (
        f"{waiting:,} conversations wait for a batch{at}; the sensor {SENSOR} or semtel collect brings their answers."
    )
    return dg.AssetCheckResult(
        passed=not waiting,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={WAITING: waiting} | ({"waiting_since": dg.MetadataValue.timestamp(since)} if since else {}),
        description=told if waiting else "No conversation waits for a batch.",
    )


def in_words(batches: Sequence[Batch], faults: dict[str, str]) -> str:
    """How the batches stand after a poll, in one line."""
    still = [batch for batch in batches if batch.is_open]
    words = f"{len(still)} open batches with {sum(batch.requests for batch in still):,} conversations"
    if not still:
        words = "no batch is open"
    return "; ".join([words, *(f"{name}: {fault}" for name, fault in faults.items())])


def _waiting(storage: str, week: str, classifier: str) -> set[str]:
    parts = sorted(partition_folder(storage, "responses", week, classifier).glob("*.parquet"))
    if not parts:
        return set()
    rows = pl.scan_parquet(parts, hive_partitioning=False).filter(pl.col("status") == WAITING)
    return set(rows.select("content_hash").collect()["content_hash"])

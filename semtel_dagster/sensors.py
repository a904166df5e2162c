"""The sensors: noticing changed prompts, catching up under a standing budget, posting a weekly summary.

The first asks no model and runs by default; the others are stopped until somebody starts them. What is stale and what
it costs is found in `planning`; the weekly cadence is in `automation`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from semtel_dagster.errors import SemtelError
from semtel_dagster.jobs import LABEL_JOB, PARSE_JOB, PREPARE_JOB, REPORT_JOB
from semtel_dagster.partitions import grid_key
from semtel_dagster.planning import verdicts
from semtel_dagster.planning.attempts import TAG, attempts_at
from semtel_dagster.planning.budgets import budget_for, tags_of
from semtel_dagster.planning.history import History
from semtel_dagster.planning.observe import last_observed, observation
from semtel_dagster.planning.plan import Measure, stale_partitions
from semtel_dagster.planning.project import Project
from semtel_dagster.planning.staleness import PARSER, Stale
from semtel_dagster.prompts.loader import load_classifiers
from semtel_dagster.reporting.summary import weekly_summary
from semtel_dagster.requests.budget import Budget
from semtel_dagster.settings import Settings

Jobs: TypeAlias = Sequence[UnresolvedAssetJobDefinition]
MOST_RUNS_PER_TICK = 20
POST_TIMEOUT_S = 20.0


def build(settings: Settings, jobs: Jobs) -> list[dg.SensorDefinition]:
    """All sensors; the jobs are those that `jobs` names."""
    return [_note_prompts(settings), _catch_up(settings, jobs), _weekly_summary(settings)]


def _note_prompts(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="note_prompt_changes",
        asset_selection=dg.AssetSelection.checks(verdicts.KEY),
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Records a prompt's new fingerprint within a minute of its edit, so that the weeks it makes stale "
        "show, and has the check answers_are_current say what changed and what catching up costs. Asks no model.",
    )
    def note_prompt_changes(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        """Reads the prompt files again."""
        try:
            prompts = load_classifiers(settings.prompts, settings.classifiers)
        except SemtelError as error:
            return dg.SkipReason(str(error))
        changed = [name for name in prompts if last_observed(context.instance, name) != prompts[name].fingerprint]
        labelled = context.instance.get_latest_materialization_event(dg.AssetKey(verdicts.ASSET)) is not None
        look = labelled and (changed or verdicts.outlived(context.instance))
        if not changed and not look:
            return dg.SkipReason("no prompt changed")
        return dg.SensorResult(
            asset_events=[observation(name, prompts[name].fingerprint) for name in changed],
            run_requests=[dg.RunRequest(asset_check_keys=[verdicts.KEY])] if look else [],
        )

    return note_prompt_changes


def _catch_up(settings: Settings, jobs: Jobs) -> dg.SensorDefinition:
    @dg.sensor(
        name="catch_up",
        jobs=jobs,
        minimum_interval_seconds=600,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Does what `semtel backfill` does, newest week first, under the standing budget of the settings' "
        "section backfill. A failed partition is tried a bounded number of times.",
    )
    def catch_up(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        """Requests the next runs, each at most once."""
        budget = standing_budget(settings)
        if budget is None:
            yield dg.SkipReason("set backfill.max_cost_per_week or backfill.max_calls_per_week in the settings first")
            return
        try:
            project = Project.of(settings)
            requests = list(next_runs(project, context.instance, budget))
        except SemtelError as error:
            yield dg.SkipReason(str(error))
            return
        yield from requests
        if not requests:
            yield dg.SkipReason(_why_nothing(budget, project))

    return catch_up


def next_runs(project: Project, instance: dg.DagsterInstance, budget: Budget) -> Iterator[dg.RunRequest]:
    """The runs that may start now, the newest week first: preparing, labelling, then the week's report.

    Asking again gives the same run keys, so that nothing is launched twice; a partition that failed gets a new key
    until its retries are used up.
    """
    history = History.read(instance)
    stale = stale_partitions(project, history, None, None)
    ends = [*_preparing(stale), *_labelling(stale, Measure(project, history), project, affordable=budget.left)]
    requests = (_request(project, instance, budget, end) for end in ends)
    yield from islice((request for request in requests if request), MOST_RUNS_PER_TICK)
    waiting = {each.week for each in stale}
    for week in sorted(history.weeks - waiting, reverse=True):
        if not history.is_reported(week):
            key = f"{REPORT_JOB}|{week}|{history.newest_shares(week)}"
            yield dg.RunRequest(run_key=key, job_name=REPORT_JOB, partition_key=week)


@dataclass(frozen=True)
class _End:
    """A run that brings a partition to a state; `state` tells one attempt's aim from another's."""

    job: str
    week: str
    classifier: str | None
    state: str

    @property
    def name(self) -> str:
        return "|".join([self.job, self.week, self.classifier or "", self.state])


def _preparing(stale: Sequence[Stale]) -> Iterator[_End]:
    """Weeks whose conversations are to be read, each once for so many rows of the source."""
    rows = {each.week: each.source_rows for each in stale if each.prepare}
    for week, count in rows.items():
        yield _End(PREPARE_JOB, week, None, str(count))


def _labelling(stale: Sequence[Stale], measure: Measure, project: Project, *, affordable: bool) -> Iterator[_End]:
    """Partitions of prepared weeks that the gate lets run; only the free ones when the budget is spent."""
    for each in stale:
        if each.reason != PARSER and not project.decision(each.classifier).passed:
            continue
        planned = None if each.prepare else measure(each)
        if planned is not None and (affordable or not planned.calls):
            job = PARSE_JOB if each.reason == PARSER else LABEL_JOB
            yield _End(job, each.week, each.classifier, _wanted(project, each))


def _request(project: Project, instance: dg.DagsterInstance, budget: Budget, end: _End) -> dg.RunRequest | None:
    # Retries count anew under each calendar week's budget: a run that a spent budget stopped has not failed.
    aim = f"{end.name}|{Path(budget.ledger).stem}"
    tried = attempts_at(instance, aim)
    if tried.under_way or tried.ended > project.settings.backfill.max_retries:
        return None
    return dg.RunRequest(
        run_key=f"{aim}|{tried.ended}",
        job_name=end.job,
        partition_key=grid_key(end.week, end.classifier) if end.classifier else end.week,
        tags={TAG: aim, **tags_of(budget)},
    )


def _wanted(project: Project, stale: Stale) -> str:
    """The state that a partition is to be brought to."""
    prompt = project.prompts[stale.classifier]
    models = "+".join(sorted(project.models))
    return f"{stale.reason}|{prompt.fingerprint}|{project.parser_fingerprint(stale.classifier)}|{models}"


def standing_budget(settings: Settings, today: dt.date | None = None) -> Budget | None:
    """This calendar week's budget; None where the settings cap nothing."""
    caps = settings.backfill
    if caps.max_cost_per_week is None and caps.max_calls_per_week is None:
        return None
    year, week, _ = (today or dt.datetime.now(dt.UTC).date()).isocalendar()
    return budget_for(settings.storage, f"standing-{year}-W{week:02}", caps.max_calls_per_week, caps.max_cost_per_week)


def _why_nothing(budget: Budget, project: Project) -> str:
    if not budget.left:
        spent = budget.spent()
        return f"this week's budget is spent: {spent.calls:,} calls, ${spent.cost_usd:,.2f}; it goes on next week"
    held = [name for name in project.classifiers() if not project.decision(name).passed]
    if held:
        return f"an evaluation stands against {', '.join(held)}: {project.decision(held[0]).because}"
    return "nothing is stale, or what is runs already or has used up its retries: see semtel plan"


def _weekly_summary(settings: Settings) -> dg.SensorDefinition:
    @dg.asset_sensor(
        asset_key=dg.AssetKey("weekly_report"),
        name="post_weekly_summary",
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Posts a week's largest shares as JSON to the address that report.webhook_env names, when the "
        "week's report is made. Published shares only.",
    )
    def post_weekly_summary(context: dg.SensorEvaluationContext, asset_event: dg.EventLogEntry) -> dg.SkipReason:
        """Posts once per report of the newest week; reports of older weeks are backfills and post nothing."""
        week = str(asset_event.dagster_event.partition) if asset_event.dagster_event else ""
        newest = max(History.read(context.instance).weekly["weekly_report"], default="")
        if week != newest:
            return dg.SkipReason(f"{week} is not the newest week ({newest})")
        address = os.environ.get(settings.report.webhook_env or "")
        if not address:
            return dg.SkipReason("report.webhook_env names no variable that holds an address")
        status = post_json(address, weekly_summary(settings.storage, dt.date.fromisoformat(week)))
        return dg.SkipReason(f"posted the summary of {week} (HTTP {status})")

    return post_weekly_summary


def post_json(address: str, document: object) -> int:
    """Posts a JSON document and returns the status.

    Raises:
        SemtelError: It did not arrive; the message does not hold the address, which may be secret.
    """
    body = json.dumps(document).encode()
    request = urllib.request.Request(address, body, {"content-type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=POST_TIMEOUT_S) as reply:
            return int(reply.status)
    except (OSError, ValueError) as error:
        raise SemtelError(f"the weekly summary could not be posted: {type(error).__name__}") from None

"""Running weeks and classifiers through Dagster, in this process, with the instance that the UI shows.

What the command line prints is in `cli.py`; what a partition's figures mean, in `summaries.py`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import dagster as dg

from semtel_dagster import interrupts
from semtel_dagster.checks import GATE, gate_decision, gate_failure
from semtel_dagster.jobs import LABEL_JOB, PARSE_JOB, PREPARE_JOB, REPORT_JOB
from semtel_dagster.orphans import end_orphans, process_tags
from semtel_dagster.partitions import grid_key
from semtel_dagster.planning.observe import observe_prompts

HOME_VARIABLE = "DAGSTER_HOME"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class LabelledPartition:
    """What a run did for a classifier's week; the fields are the contract of `semtel run --json`."""

    week: str
    classifier: str
    conversations: int
    calls: int
    refused: int
    retried: int
    cached: int
    answered: int
    invalid: int
    unanswered: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    seconds: float
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The fields of the contract; `error` only where there is one."""
        return {name: value for name, value in asdict(self).items() if name != "error" or value}


@dataclass(frozen=True)
class Step:
    """One Dagster run of the sequence: preparing a week, labelling it, or publishing it."""

    job: str
    week: str
    classifier: str | None = None

    @property
    def title(self) -> str:
        """What the step does, in words."""
        verb = {PREPARE_JOB: "prepare", LABEL_JOB: "label", PARSE_JOB: "parse", REPORT_JOB: "report"}[self.job]
        return f"{verb} {self.week}" + (f" {self.classifier}" if self.classifier else "")


@dataclass(frozen=True)
class Outcome:
    """How a step ended."""

    step: Step
    metadata: dict[str, dict[str, Any]]
    seconds: float
    error: str | None

    def labelled(self) -> LabelledPartition:
        """The figures of a labelling step; zeros where a failed step wrote nothing."""
        assert self.step.classifier
        made, labels = self.metadata.get("responses", {}), self.metadata.get("labels", {})
        counts = {
            name: int(made.get(name, 0))
            for name in ("calls", "refused", "retried", "cached", "input_tokens", "output_tokens")
        }
        states = {name: int(labels.get(name, 0)) for name in ("conversations", "answered", "invalid", "unanswered")}
        return LabelledPartition(
            week=self.step.week,
            classifier=self.step.classifier,
            cost_usd=float(made.get("cost_usd", 0.0)),
            seconds=round(self.seconds, 3),
            error=self.error,
            **counts,
            **states,
        )


def steps_of(weeks: Sequence[str], classifiers: Sequence[str]) -> list[Step]:
    """The Dagster runs that weeks and classifiers need, in order, newest week last."""
    return [
        step
        for week in weeks
        for step in (
            Step(PREPARE_JOB, week),
            *(Step(LABEL_JOB, week, classifier) for classifier in classifiers),
            Step(REPORT_JOB, week),
        )
    ]


def run_step(
    step: Step, defs: dg.Definitions, instance: dg.DagsterInstance, tags: Mapping[str, str] | None = None
) -> Outcome:
    """Runs one step under a run's tags; a failure is told in the outcome, not raised.

    Raises:
        KeyboardInterrupt: The process was told to stop.
    """
    refusal = _refused(step, defs, instance)
    if refusal is not None:
        return Outcome(step, {}, 0.0, refusal)
    interrupts.listen()
    started = time.perf_counter()
    result = defs.resolve_job_def(step.job).execute_in_process(
        run_config=QUIET,
        instance=instance,
        tags={**process_tags(), **(tags or {})},
        partition_key=grid_key(step.week, step.classifier) if step.classifier else step.week,
        raise_on_error=False,
    )
    if interrupts.asked():
        raise KeyboardInterrupt
    metadata = {
        event.materialization.asset_key.path[-1]: {
            key: value.value for key, value in event.materialization.metadata.items()
        }
        for event in (entry.step_materialization_data for entry in result.get_asset_materialization_events())
    }
    return Outcome(step, metadata, time.perf_counter() - started, _first_error(result))


def run_all(
    steps: Sequence[Step], defs: dg.Definitions, instance: dg.DagsterInstance
) -> Iterator[tuple[Step, Outcome | None]]:
    """Runs steps in order, yielding each before (with None) and after.

    A week that could not be prepared is not labelled; every other step goes on, and what landed stays.
    """
    unprepared: set[str] = set()
    end_orphans(instance)
    observe_prompts((defs.resources or {})["prompts"], instance)
    for step in steps:
        yield step, None
        if step.week in unprepared:
            outcome = Outcome(step, {}, 0.0, f"week {step.week} could not be prepared")
        else:
            outcome = run_step(step, defs, instance)
        if outcome.error and step.job == PREPARE_JOB:
            unprepared.add(step.week)
        yield step, outcome


def open_instance(storage: str) -> dg.DagsterInstance:
    """The Dagster instance that `DAGSTER_HOME` names, else one under the storage, made with our defaults."""
    home = Path(os.environ.get(HOME_VARIABLE) or Path(storage) / "dagster").absolute()
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        (home / "dagster.yaml").write_text(default_instance_config(), encoding="utf-8")
    os.environ[HOME_VARIABLE] = str(home)
    return dg.DagsterInstance.get()


def default_instance_config() -> str:
    """The shipped dagster.yaml: the checkout's, else the wheel's."""
    package = Path(str(files("semtel_dagster")))
    checkout = package.parent / "dagster.yaml"
    return (checkout if checkout.exists() else package / "_data" / "dagster.yaml").read_text(encoding="utf-8")


def _refused(step: Step, defs: dg.Definitions, instance: dg.DagsterInstance) -> str | None:
    """Why the gate keeps a classifier from running: told before anything is paid, and shown as a failed check."""
    if step.job != LABEL_JOB or step.classifier is None:
        return None
    settings, prompts, plan = ((defs.resources or {})[name] for name in ("settings", "prompts", "request_plan"))
    decision = gate_decision(step.classifier, settings, prompts, plan)
    if decision.passed:
        return None
    instance.report_runless_asset_event(gate_failure(grid_key(step.week, step.classifier), decision))
    return f"{GATE}: {decision.because}"


def _first_error(result: dg.ExecuteInProcessResult) -> str | None:
    """The words of the first blocking check that failed, else the root cause of the first failed step; one line."""
    if result.success:
        return None
    for check in result.get_asset_check_evaluations():
        if check.blocking and not check.passed:
            return " ".join(f"{check.check_name}: {check.description or 'failed'}".split())
    for event in result.all_events:
        error = getattr(event.event_specific_data, "error", None) if event.is_failure else None
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            return " ".join(str(error.message).split())
    return "an asset check failed; the UI shows which"

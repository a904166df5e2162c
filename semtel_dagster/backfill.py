"""Catching up in this process: what the plan lists, the newest week first, under a budget.

Belongs here: the order, the cap, bounded retries, and what is left. What is stale is found in `planning`; a running
webserver is asked in `webserver`; the sensor that does the same is in `sensors`.

Killed at any moment and launched again it goes on where it was: what landed is not stale any more, and answers of a
partition that did not land are in the journal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from semtel_dagster.checks import GATE
from semtel_dagster.jobs import LABEL_JOB, PARSE_JOB, PREPARE_JOB, REPORT_JOB
from semtel_dagster.orphans import end_orphans
from semtel_dagster.planning.budgets import tags_of
from semtel_dagster.planning.history import History
from semtel_dagster.planning.observe import observe_prompts
from semtel_dagster.planning.plan import Measure, PlannedPartition, stale_partitions
from semtel_dagster.planning.project import Project
from semtel_dagster.planning.staleness import PARSER, Stale
from semtel_dagster.requests.budget import SPENT, Budget
from semtel_dagster.runs import Outcome, Step, run_step

BACKFILL_TAG = "semtel/backfill"


@dataclass
class Backfill:
    """One launch: iterate over `run()`, then read what became of it.

    Attributes:
        project: The current state.
        defs: What is run.
        instance: Where runs are recorded.
        budget: What may be spent; None: no cap.
        retries: Tries of a failed step beyond the first.
        left: Partitions that the cap kept back, in order.
        stopped: The steps that the cap stopped in their course; their answers so far are kept.
        failed: Steps that failed in every try, with the last error.
    """

    project: Project
    defs: dg.Definitions
    instance: dg.DagsterInstance
    budget: Budget | None = None
    retries: int = 2
    tags: Mapping[str, str] = field(default_factory=dict)
    left: list[PlannedPartition] = field(default_factory=list)
    stopped: set[Step] = field(default_factory=set)
    failed: dict[Step, str] = field(default_factory=dict)

    def run(
        self, weeks: Sequence[str] | None = None, classifiers: Sequence[str] | None = None
    ) -> Iterator[tuple[Step, Outcome | None]]:
        """Runs what is stale of the weeks and classifiers; yields each step before (with None) and after.

        When the cap is reached, calls stop within the step that reaches it; later partitions run only if they are free.
        """
        end_orphans(self.instance)
        observe_prompts(self.project.prompts, self.instance)
        stale = stale_partitions(self.project, History.read(self.instance), weeks, classifiers)
        for week in dict.fromkeys(each.week for each in stale):
            of_week = [each for each in stale if each.week == week]
            if of_week[0].prepare:
                yield from self._try(Step(PREPARE_JOB, week))
                if Step(PREPARE_JOB, week) in self.failed:
                    continue
                of_week = self._again(week, classifiers)
            landed = 0
            for each in of_week:
                for step, outcome in self._label(each):
                    landed += outcome is not None and outcome.error is None
                    yield step, outcome
            history = History.read(self.instance)
            if landed or (not history.is_reported(week) and not self._again(week, None)):
                yield from self._try(Step(REPORT_JOB, week))

    def _again(self, week: str, classifiers: Sequence[str] | None) -> list[Stale]:
        """The week as it is after it was prepared."""
        return stale_partitions(self.project, History.read(self.instance), [week], classifiers)

    def _label(self, stale: Stale) -> Iterator[tuple[Step, Outcome | None]]:
        planned = Measure(self.project, History.read(self.instance))(stale)
        if planned is None:
            return
        if planned.calls and self.budget and not self.budget.left:
            self.left.append(planned)
            return
        step = Step(PARSE_JOB if stale.reason == PARSER else LABEL_JOB, stale.week, stale.classifier)
        yield from self._try(step)
        if step in self.stopped:
            rest = Measure(self.project, History.read(self.instance))(stale)
            self.left += [rest] if rest else []

    def _try(self, step: Step) -> Iterator[tuple[Step, Outcome | None]]:
        """A step and its retries; a step that the cap or the gate stopped is not tried again."""
        for _ in range(1 + self.retries):
            yield step, None
            outcome = run_step(step, self.defs, self.instance, {**self.tags, **tags_of(self.budget)})
            if outcome.error and SPENT in outcome.error:
                self.stopped.add(step)
            yield step, outcome
            if outcome.error and outcome.error.startswith(GATE):
                self.failed[step] = outcome.error
                return
            if outcome.error is None or step in self.stopped:
                self.failed.pop(step, None)
                return
            self.failed[step] = outcome.error

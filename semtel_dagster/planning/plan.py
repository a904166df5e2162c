"""The plan: every partition that is not what the settings ask for, with what catching up takes.

Belongs here: putting reasons, conversations, the journal and rates together. Nothing is launched and no model is asked.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from semtel_dagster.batches.choosing import price_factor
from semtel_dagster.batches.store import Store
from semtel_dagster.cascade.standing import standing
from semtel_dagster.packing.asking import Company
from semtel_dagster.planning.company import company_in, in_company
from semtel_dagster.planning.conversations import DistinctConversations, stored, worked_out
from semtel_dagster.planning.history import History
from semtel_dagster.planning.project import Project
from semtel_dagster.planning.rates import Rates, rates_of, seconds_per_call
from semtel_dagster.planning.repairs import second_calls
from semtel_dagster.planning.staleness import PARSER, UNANSWERED, Stale, find_stale
from semtel_dagster.requests.budget import Budget, Spent
from semtel_dagster.requests.journal import Journal
from semtel_dagster.sources.weeks import source_weeks


@dataclass(frozen=True)
class PlannedPartition:
    """A classifier's week to be made; the fields are the contract of `semtel plan --json`.

    Attributes:
        week: Its Monday.
        classifier: Its name.
        reason: Why, in the words of `staleness`.
        conversations: Sampled conversations that will have a label.
        calls: Of these, what a model is asked about: without duplicates and what the journal answers.
        input_tokens: Tokens that these calls send.
        cost_usd: Their price, answers included.
    """

    week: str
    classifier: str
    reason: str
    conversations: int
    calls: int
    input_tokens: int
    cost_usd: float


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        partitions: The newest week first.
        seconds: How long the calls will take at the learned rate; None while there is none.
        upper_bound: Whether near duplicates are not known yet in a week that was never prepared: calls may be fewer.
        second_calls: Besides the calls, an estimate of second questions, about answers that will give no label.
    """

    partitions: tuple[PlannedPartition, ...]
    seconds: float | None = None
    upper_bound: bool = False
    second_calls: int = 0

    @property
    def total(self) -> dict[str, Any]:
        """Sums over the partitions, and the time."""
        return {
            "partitions": len(self.partitions),
            "conversations": sum(each.conversations for each in self.partitions),
            "calls": sum(each.calls for each in self.partitions),
            "input_tokens": sum(each.input_tokens for each in self.partitions),
            "cost_usd": sum(each.cost_usd for each in self.partitions),
            "seconds": self.seconds,
        } | ({"second_calls": self.second_calls} if self.second_calls else {})

    def as_json(self) -> dict[str, Any]:
        """The document of `semtel plan --json`."""
        return {"partitions": [asdict(each) for each in self.partitions], "total": self.total}


def make_plan(
    project: Project,
    instance: dg.DagsterInstance,
    weeks: Sequence[str] | None = None,
    classifiers: Sequence[str] | None = None,
    without: Container[str] = (),
) -> Plan:
    """Compares all weeks and classifiers asked for with what is recorded.

    Args:
        project: The current state.
        instance: Where runs are recorded.
        weeks: Mondays; all complete weeks when None.
        classifiers: Names; all when None.
        without: Reasons to leave out; a week that was never prepared takes long to measure.

    Raises:
        SourceError: The source cannot be read.
    """
    history = History.read(instance)
    found = stale_partitions(project, history, weeks, classifiers)
    stale = [each for each in found if each.reason not in without]
    measure = Measure(project, history)
    partitions = [planned for each in stale if (planned := measure(each)) is not None]
    per_call = seconds_per_call(instance, history) if partitions else None
    calls = sum(each.calls for each in partitions)
    seconds = calls * per_call if per_call is not None else None
    second = second_calls(project, history, [(each.classifier, each.calls) for each in partitions])
    return Plan(tuple(partitions), seconds, measure.upper_bound, second)


def stale_partitions(
    project: Project, history: History, weeks: Sequence[str] | None, classifiers: Sequence[str] | None
) -> list[Stale]:
    """What is stale of the weeks and classifiers asked for; opens no table."""
    source_rows = {week.isoformat(): rows for week, rows in source_weeks(project.settings.source).items()}
    asked = project.weeks if weeks is None else weeks
    return find_stale(project, history, source_rows, asked, project.classifiers(classifiers))


def within(plan: Plan, budget: Budget | None) -> tuple[Plan, Plan]:
    """What of a plan a budget allows, in order, and the rest: at least one call of a partition must be affordable."""
    spent, chosen, left = Spent() if budget is None else budget.spent(), [], []
    for each in plan.partitions:
        if each.calls and budget is not None and not budget.allows(spent):
            left.append(each)
            continue
        chosen.append(each)
        spent = Spent(spent.calls + each.calls, spent.cost_usd + each.cost_usd)
    return replace(plan, partitions=tuple(chosen)), replace(plan, partitions=tuple(left))


@dataclass
class Measure:
    """Says what stale partitions take, in the order in which they will be made.

    A text that two weeks hold is asked for once, in the first of them; so one Measure serves one order.
    """

    project: Project
    history: History
    upper_bound: bool = False
    _asked: dict[str, list[pl.Series]] = field(default_factory=dict)
    _rates: dict[str, Rates] = field(default_factory=dict)
    _week: tuple[str, DistinctConversations] | None = None

    def __call__(self, stale: Stale) -> PlannedPartition | None:
        """The figures of a partition; None where nothing would come of making it again."""
        distinct = self._distinct(stale)
        company = company_in(self.project, stale.classifier)
        if company is not None and stale.reason != PARSER:
            return self._with_company(stale, distinct, company)
        calls, tokens = 0, 0
        if stale.reason != PARSER:
            missing = self._missing(stale.classifier, distinct, self._sure(stale, distinct))
            calls, tokens = missing.height, int(missing["n_tokens"].sum())
        if stale.reason == UNANSWERED and not calls:
            return None
        rates = self._rates_of(stale.classifier)
        return PlannedPartition(
            week=stale.week,
            classifier=stale.classifier,
            reason=stale.reason,
            conversations=distinct.conversations,
            calls=calls,
            input_tokens=rates.input_tokens(calls, tokens),
            cost_usd=rates.cost_usd(calls, tokens) * price_factor(calls, self.project.settings.batch),
        )

    def _with_company(self, stale: Stale, distinct: DistinctConversations, company: Company) -> PlannedPartition | None:
        """The figures where others are asked along, or several conversations at once: calls are fewer than rows."""
        not_asked = [*self._asked.get(stale.classifier, ()), self._sure(stale, distinct)]
        earlier = {**self._asked, stale.classifier: not_asked}
        asked = in_company(self.project, company, stale.classifier, distinct, earlier)
        for name, hashes in asked.lacking.items():
            self._asked.setdefault(name, []).append(hashes)
        self.upper_bound |= not asked.takes.exact
        if stale.reason == UNANSWERED and not asked.takes.calls:
            return None
        return PlannedPartition(
            week=stale.week,
            classifier=stale.classifier,
            reason=stale.reason,
            conversations=distinct.conversations,
            calls=asked.takes.calls,
            input_tokens=round(asked.takes.input_tokens),
            cost_usd=self._rates_of(stale.classifier).price_of(asked.takes.input_tokens, asked.takes.output_tokens),
        )

    def _distinct(self, stale: Stale) -> DistinctConversations:
        if self._week is None or self._week[0] != stale.week:
            found = None if stale.prepare else stored(self.project.settings.storage, stale.week)
            found = found or worked_out(self.project.settings, stale.week)
            self.upper_bound |= not found.exact
            self._week = (stale.week, found)
        return self._week[1]

    def _sure(self, stale: Stale, distinct: DistinctConversations) -> pl.Series:
        """Content hashes that a student of the cascade will answer without a call."""
        cascade = standing(self.project.settings, self.project.prompts[stale.classifier], stale.week)
        return cascade.sure_of(distinct.table["content_hash"])

    def _missing(self, classifier: str, distinct: DistinctConversations, sure: pl.Series) -> pl.DataFrame:
        """Conversations without an answer that neither a batch nor an earlier partition of this plan asks about."""
        fingerprint = self.project.prompts[classifier].fingerprint
        journal = Journal(self.project.request_plan.journal, classifier, fingerprint)
        try:
            found = journal.find(distinct.content_hashes, self.project.models)
        finally:
            journal.close()
        missing = distinct.table.filter(pl.Series(np.asarray(found) < 0))
        waiting = Store.beside(self.project.request_plan.journal).waiting(classifier, fingerprint)
        missing = missing.filter(~pl.col("content_hash").is_in([*waiting, *sure]))
        asked = self._asked.setdefault(classifier, [])
        for earlier in asked:
            missing = missing.filter(~pl.col("content_hash").is_in(earlier.implode()))
        asked.append(missing["content_hash"])
        return missing

    def _rates_of(self, classifier: str) -> Rates:
        if classifier not in self._rates:
            self._rates[classifier] = rates_of(self.project, self.history, classifier)
        return self._rates[classifier]

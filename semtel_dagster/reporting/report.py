"""The weekly report's figures, gathered into one value. How it looks belongs in `html.py` and `console.py`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.reporting.accounting import (
    Answerer,
    ClassifierAccounting,
    WeekAccounting,
    account_classifier,
    account_week,
)
from semtel_dagster.reporting.agreement import Agreement, agreement_with_gold, load_gold
from semtel_dagster.reporting.crosstables import CrossTable, Hide, cross_tables
from semtel_dagster.reporting.frames import stored_classifiers, stored_weeks
from semtel_dagster.reporting.shares import Compare, ShareRow, TaskShares, comparable, read_shares, task_shares
from semtel_dagster.settings import AggregateSettings, Settings


@dataclass(frozen=True)
class Statistics:
    """The methods of `estimation/` that a report applies.

    Attributes:
        compare: Compares two weeks' rows: `estimation.change.changes`.
        hide: Chooses the cells of a cross table that are not shown: `estimation.suppression.hidden_cells`.
    """

    compare: Compare
    hide: Hide


@dataclass(frozen=True)
class ClassifierReport:
    """One classifier's part of the report."""

    name: str
    description: str
    tasks: tuple[TaskShares, ...]
    accounting: ClassifierAccounting


@dataclass(frozen=True)
class Report:
    """All figures of a week.

    Attributes:
        history: The weeks of the trends, the report's last.
        agreement: With human labels, by task; empty without them.
        missing: Classifiers of the settings that have no shares in this week yet.
    """

    title: str
    week: dt.date
    history: tuple[WeekAccounting, ...]
    classifiers: tuple[ClassifierReport, ...]
    cross_tables: tuple[CrossTable, ...]
    agreement: Mapping[str, Agreement]
    thresholds: AggregateSettings
    missing: tuple[str, ...] = ()

    @property
    def accounting(self) -> WeekAccounting:
        """The week's own rows."""
        return self.history[-1]

    @property
    def before(self) -> WeekAccounting | None:
        """The week before, if it is stored."""
        previous = [row for row in self.history if row.week == self.week - dt.timedelta(days=7)]
        return previous[0] if previous else None

    @property
    def answerers(self) -> tuple[Answerer, ...]:
        """Which models answered, over all classifiers, most answers first."""
        totals: dict[tuple[str, str, bool], int] = {}
        for classifier in self.classifiers:
            for row in classifier.accounting.answerers:
                key = row.model, row.endpoint, row.embedded
                totals[key] = totals.get(key, 0) + row.answers
        ordered = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
        return tuple(Answerer(model, endpoint, n, embedded) for (model, endpoint, embedded), n in ordered)


def build_report(
    storage: str,
    week: dt.date,
    prompts: Mapping[str, CompiledPrompt],
    settings: Settings,
    statistics: Statistics,
    agreement: Mapping[str, Agreement] | None = None,
) -> Report:
    """Reads what is stored up to a week and gathers the figures of its report.

    Args:
        storage: Root of the dataset layout.
        week: The Monday.
        prompts: The classifiers, by name.
        settings: Title, weeks of history, thresholds, endpoints, gold.
        statistics: How weeks are compared and cells are hidden.
        agreement: By task; unset: measured against the files that `settings.gold` names, if any.
    """
    stored = [day for day in stored_weeks(storage, "label_shares") if day <= week][-settings.report.weeks :]
    weeks = sorted({*stored, week})
    present = stored_classifiers(storage, "label_shares", week)
    if agreement is None:
        agreement = agreement_with_gold(storage, prompts, load_gold(settings.gold), week) if settings.gold else {}
    return Report(
        settings.report.title,
        week,
        tuple(account_week(storage, day) for day in weeks),
        _classifiers(
            storage, weeks, {name: prompts[name] for name in prompts if name in present}, settings, statistics.compare
        ),
        cross_tables(storage, week, prompts, settings.aggregate, statistics.hide),
        agreement,
        settings.aggregate,
        tuple(sorted(set(prompts) - set(present))),
    )


def _classifiers(
    storage: str,
    weeks: Sequence[dt.date],
    prompts: Mapping[str, CompiledPrompt],
    settings: Settings,
    compare: Compare,
) -> tuple[ClassifierReport, ...]:
    shares = {name: {week: read_shares(storage, week, name) for week in weeks} for name in prompts}
    week = weeks[-1]
    changes = compare(
        comparable(_of_week(shares.values(), week)), comparable(_of_week(shares.values(), week - dt.timedelta(days=7)))
    )
    return tuple(
        ClassifierReport(
            name,
            prompt.classifier.description,
            tuple(task_shares(task, name, shares[name], changes) for task in prompt.classifier.tasks),
            account_classifier(storage, week, name, settings.endpoints),
        )
        for name, prompt in prompts.items()
    )


def _of_week(shares: Iterable[Mapping[dt.date, list[ShareRow]]], week: dt.date) -> list[ShareRow]:
    return [row for history in shares for row in history.get(week, [])]

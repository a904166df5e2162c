"""The weekly report's files: the page of a week, and the warehouse beside it."""

from __future__ import annotations

import datetime as dt
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.datasets import partition_folder
from semtel_dagster.reporting.html import render_html
from semtel_dagster.reporting.report import Report, Statistics, build_report
from semtel_dagster.reporting.warehouse import refresh_warehouse
from semtel_dagster.settings import Settings

ASSET = "weekly_report"


@dataclass(frozen=True)
class Written:
    """Where a report was written, and its key figures as numbers that plot over weeks."""

    page: Path
    warehouse: Path
    figures: Mapping[str, float]


def report_path(storage: str, week: str) -> Path:
    """Where a week's page lies."""
    return partition_folder(storage, ASSET, week).absolute() / "report.html"


def write_report(
    settings: Settings, week: dt.date, prompts: Mapping[str, CompiledPrompt], statistics: Statistics
) -> Written:
    """Writes the page of a week, whole or not at all, and makes the warehouse anew.

    Args:
        settings: Storage, title, thresholds, endpoints, gold.
        week: The Monday.
        prompts: The classifiers, by name.
        statistics: The methods of `estimation/`: `Statistics(changes, hidden_cells)`.
    """
    report = build_report(settings.storage, week, prompts, settings, statistics)
    page = report_path(settings.storage, week.isoformat())
    page.parent.mkdir(parents=True, exist_ok=True)
    aside = page.with_name(f".{page.name}.{uuid.uuid4().hex}")
    try:
        aside.write_text(render_html(report), encoding="utf-8")
        os.replace(aside, page)
    finally:
        aside.unlink(missing_ok=True)
    return Written(page, refresh_warehouse(settings.storage), _figures(report))


def _figures(report: Report) -> dict[str, float]:
    rows = [classifier.accounting for classifier in report.classifiers]
    significant = [
        change
        for classifier in report.classifiers
        for shares in classifier.tasks
        for change in shares.changes.values()
        if change.significant
    ]
    return {
        "conversations": report.accounting.conversations or 0,
        "sampled": report.accounting.sampled or 0,
        "classifiers": len(rows),
        "calls": sum(row.calls for row in rows),
        "cost_usd": sum(row.cost_usd for row in rows),
        "significant_changes": len(significant),
        **{f"agreement: {row.task}": row.accuracy for row in report.agreement.values()},
    }

"""Builders for tests that run the graph: a small project on disk, and its weeks through Dagster."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import dagster as dg
import polars as pl
import yaml

from semtel_dagster.definitions import build_defs
from semtel_dagster.jobs import REPORT_JOB
from semtel_dagster.runs import Outcome, run_all, steps_of
from semtel_dagster.settings import Settings, load_settings

FIRST_WEEK = "2026-10-05"
EMBEDDED = [{"name": "embedded", "kind": "embedded"}]


def conversation(
    number: int, *texts: str, day: int = 5, user: str | None = "u1", **fields: object
) -> dict[str, object]:
    """A conversation of alternating user and assistant turns on a day of October 2026."""
    roles = ("user", "assistant")
    messages = [{"role": roles[turn % 2], "content": text} for turn, text in enumerate(texts)]
    started_at = f"2026-10-{day:02}T09:{number % 60:02}:00Z"
    return {"conversation_id": f"c{number:04}", "user_id": user, "started_at": started_at, "language": "en"} | {
        "messages": messages,
        **fields,
    }


def project(folder: Path, conversations: list[dict[str, object]], **fields: object) -> Settings:
    """Settings over a folder with one source file."""
    (folder / "source.jsonl").write_text("".join(json.dumps(each) + "\n" for each in conversations), encoding="utf-8")
    given = {
        "storage": "./data",
        "first_week": FIRST_WEEK,
        "source": {"path": "source.jsonl"},
        "endpoints": EMBEDDED,
        "classifiers": ["intent"],
    }
    (folder / "semtel.yaml").write_text(yaml.safe_dump(given | fields), encoding="utf-8")
    return load_settings(folder / "semtel.yaml")


def run_weeks(
    settings: Settings, *weeks: str, instance: dg.DagsterInstance | None = None, report: bool = True
) -> list[Outcome]:
    """Every step of the weeks for every classifier, through Dagster; reports take time and may be left out."""
    steps = [step for step in steps_of(weeks or (FIRST_WEEK,), list(settings.classifiers))
             if report or step.job != REPORT_JOB]  # fmt: skip
    with nullcontext(instance) if instance else dg.DagsterInstance.ephemeral() as opened:
        ran = run_all(steps, build_defs(settings), opened)
        return [outcome for _, outcome in ran if outcome]


def table(settings: Settings, asset: str) -> pl.DataFrame:
    """All partitions of a table."""
    return pl.read_parquet(f"{settings.storage}/{asset}/**/*.parquet", hive_partitioning=True)

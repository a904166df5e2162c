"""Budgets of backfills and how a Dagster run carries one: as a tag, so that it reaches every process and the UI.

Belongs here: where ledgers lie and the tag. Keeping to a budget belongs in `requests`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dagster as dg

from semtel_dagster.requests.budget import Budget
from semtel_dagster.requests.plan import RequestPlan

TAG = "semtel/budget"
FOLDER = "budgets"


def budget_for(storage: str, name: str, max_calls: int | None, max_cost_usd: float | None) -> Budget:
    """The budget whose ledger has this name; everybody who gives the name spends from it."""
    return Budget(str(Path(storage, FOLDER, f"{name}.ledger")), max_calls, max_cost_usd)


def tags_of(budget: Budget | None) -> dict[str, str]:
    """The tags that put a run under a budget."""
    return {TAG: budget.to_tag()} if budget else {}


def under_budget(plan: RequestPlan, context: dg.AssetExecutionContext) -> RequestPlan:
    """The plan under the budget that the run carries, if it carries one."""
    tag = context.run.tags.get(TAG)
    return replace(plan, budget=Budget.from_tag(tag)) if tag else plan

"""Budgets of backfills and how a Dagster run carries one: as a tag, so that it reaches every process and the UI.

Belongs here: where ledgers lie and the tag. Keeping to a budget belongs in `requests`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dagster as dg
from pydantic import Field

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


class RunCaps(dg.Config):
    """What the launchpad offers for a run that asks models: where it stops. What was answered is kept.

    Attributes:
        max_calls: Calls of this run; a backfill's own cap comes before it.
        max_cost_usd: USD of this run.
    """

    max_calls: int | None = Field(
        None, ge=0, description="Stop this run when so many calls are made. Answers are kept; another run goes on."
    )
    max_cost_usd: float | None = Field(None, ge=0, description="Stop this run when so many USD are spent.")


def under_budget(plan: RequestPlan, context: dg.AssetExecutionContext, caps: RunCaps, storage: str) -> RequestPlan:
    """The plan under the budget that the run carries as a tag, else under the caps of its launch, if it has any."""
    tag = context.run.tags.get(TAG)
    if tag:
        return replace(plan, budget=Budget.from_tag(tag))
    if caps.max_calls is None and caps.max_cost_usd is None:
        return plan
    return replace(plan, budget=budget_for(storage, f"run-{context.run.run_id}", caps.max_calls, caps.max_cost_usd))

"""What a run asks of which endpoints: a value that can travel to a Spark executor.

Belongs here: the choice of endpoints and the defaults of the engine. Keys do not: a plan holds the name of the
variable, and the task that makes the calls reads it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from semtel_dagster.classifiers import LocalModel
from semtel_dagster.requests.budget import Budget
from semtel_dagster.requests.team import Team
from semtel_dagster.settings import (
    DEFAULT_KEY_VARIABLE,
    EndpointSettings,
    Price,
    RequestSettings,
    Settings,
)

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_MODEL = "gpt-4o-mini"
DEFAULT_PRICE = Price(input=0.15, cached_input=0.075, output=0.60)
BASE_URL_VARIABLE = "OPENAI_BASE_URL"
DEFAULT_IN_FLIGHT = 2048


@dataclass(frozen=True)
class RequestPlan:
    """How one classifier's conversations are asked.

    Attributes:
        endpoints: Where calls may go; the engine rotates over them.
        requests: Timeouts, attempts, flush interval.
        journal: Folder of the answers' journal, on a file system.
        parallel_tasks: How many processes (Dagster runs, Spark tasks) share the endpoints at the same time, as far as
            is known before; those that share the journal find each other.
        local_model: A module-level function that makes the embedded model; needed for endpoints of kind embedded.
        start_in_flight: Calls in flight per endpoint at the start; unset: a careful guess.
        give_up_s: After so long without a sign of life from any endpoint the waiting rows fail.
        patience_s: After so long of nothing but refusals by rate the waiting rows fail.
        budget: What may be spent, with everybody under the same ledger; None: no cap.
        hedge: Whether stragglers at the end of a run get a second call (at most 2 % of calls).
        team: The tasks of one step that work at the same time, of which this plan is one's; None: it works with
            whoever shares the journal and an endpoint (see `meeting`).
    """

    endpoints: tuple[EndpointSettings, ...]
    requests: RequestSettings
    journal: str
    parallel_tasks: int = 1
    local_model: Callable[[], LocalModel] | None = None
    start_in_flight: int | None = None
    give_up_s: float = 120.0
    patience_s: float = 1800.0
    hedge: bool = True
    budget: Budget | None = None
    team: Team | None = None

    @property
    def max_in_flight(self) -> int:
        """Calls in flight over all endpoints of one process, at most."""
        return self.requests.max_in_flight or DEFAULT_IN_FLIGHT

    def shared_by(self, tasks: int) -> RequestPlan:
        """The plan of each of so many tasks that work at the same time: its share of every endpoint's budget."""
        if tasks == 1:
            return self
        endpoints = tuple(
            endpoint.model_copy(update={"max_in_flight": -(-endpoint.max_in_flight // tasks)})
            if endpoint.max_in_flight
            else endpoint
            for endpoint in self.endpoints
        )
        team = Team.new(self.journal, tasks)
        return replace(self, endpoints=endpoints, parallel_tasks=self.parallel_tasks * tasks, team=team)


def plan_for(settings: Settings, local_model: Callable[[], LocalModel] | None = None) -> RequestPlan:
    """The plan that the settings and the environment ask for.

    The settings' endpoints win. Without any, `OPENAI_API_KEY` gives one endpoint at OpenAI (or at
    `OPENAI_BASE_URL`); without a key the embedded model answers.

    Args:
        settings: The loaded settings.
        local_model: A module-level function that makes the embedded model.
    """
    return RequestPlan(
        endpoints=settings.endpoints or (_default_endpoint(),),
        requests=settings.requests,
        journal=_journal_folder(settings.storage),
        local_model=local_model,
    )


def _default_endpoint() -> EndpointSettings:
    if not os.environ.get(DEFAULT_KEY_VARIABLE):
        return EndpointSettings(name="embedded", kind="embedded")
    return EndpointSettings(
        name="openai",
        base_url=os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL,
        model=DEFAULT_MODEL,
        api_key_env=DEFAULT_KEY_VARIABLE,
        price=DEFAULT_PRICE,
    )


def _journal_folder(storage: str) -> str:
    """A folder beside the tables, or in the user's cache where these lie in an object store: a journal appends."""
    if storage.startswith("file://"):
        return storage.removeprefix("file://").rstrip("/") + "/journal"
    if "://" not in storage:
        return str(Path(storage) / "journal")
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return str(Path(cache) / "semtel" / "journal" / storage.split("://", 1)[1].strip("/").replace("/", "_"))

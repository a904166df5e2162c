"""Small builders for the batches' tests: a partition that is made, polled and made again, against a real server."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import narwhals as nw
import polars as pl
import pyarrow as pa

from semtel_dagster import tables
from semtel_dagster.batches.batch import Batch
from semtel_dagster.batches.splitting import let_wait
from semtel_dagster.batches.store import Store
from semtel_dagster.batches.tending import Tender
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.loopback.process import LoopbackServer
from semtel_dagster.loopback.script import Script
from semtel_dagster.reducers import BatchSettings
from semtel_dagster.requests.budget import Budget
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import EndpointSettings, Price
from tests.requests.builders import AFTER, BEFORE, batches, endpoint, plan, prompt

WEEK = "2026-10-05"
DEADLINE_S = 60.0
PRICE = Price(input=1.0, output=10.0)


def script(**work: object) -> Script:
    """A server whose calls and batches are counted by conversation."""
    return Script(slot={"before": BEFORE, "after": AFTER}, batches=work)


@dataclass
class Partition:
    """One classifier's week: its texts, where its answers go, who is asked.

    Attributes:
        folder: The storage.
        server: Who is asked.
        texts: The distinct conversations.
        settings: What may wait; a small number of requests is enough here.
        grace_s: How long a new batch may take to show in the provider's lists.
    """

    folder: Path
    server: LoopbackServer
    texts: list[str]
    settings: BatchSettings = field(default_factory=lambda: BatchSettings(enabled=True, min_requests=1))
    grace_s: float = 0.0
    week: str = WEEK
    budget: Budget | None = None

    @property
    def plan(self) -> RequestPlan:
        """One endpoint, for online calls and for batches."""
        one = endpoint(self.server.base_url, price=PRICE)
        return plan(self.folder / "journal", one, hedge=False, budget=self.budget)

    @property
    def store(self) -> Store:
        """Its batches."""
        return Store(self.folder / "batches")

    def make(self) -> pa.Table:
        """Materializes the partition's responses, as the asset does."""
        table = pa.Table.from_batches(list(batches(self.texts)))
        distinct = nw.from_native(pl.DataFrame(table).lazy())
        engine = PolarsEngine()
        classify = ClassifyBatches(prompt(), self.plan)
        function = let_wait(classify, distinct, engine, prompt(), self.plan, self.settings, self.week)
        native = nw.to_native(engine.map_batches(distinct, function, tables.RESPONSES).sort("content_hash"))
        made: pa.Table = native.collect().to_arrow()
        return made

    def tender(self, **options: object) -> Tender:
        """Who polls."""
        tender = Tender(self.store, self.plan.journal, by_name(self.plan), self.settings, grace_s=self.grace_s)
        return replace(tender, **options)

    def poll(self) -> list[Batch]:
        """One round over the open batches."""
        return self.tender().tend_all()

    def wait(self) -> list[Batch]:
        """Polls until no batch is open; all batches."""
        until = time.monotonic() + DEADLINE_S
        while self.store.open():
            assert time.monotonic() < until, [batch.model_dump() for batch in self.store.open()]
            self.poll()
            time.sleep(0.02)
        return self.store.all()

    def finish(self) -> pa.Table:
        """Makes the partition again and again until nothing waits."""
        until = time.monotonic() + DEADLINE_S
        made = self.make()
        while "waiting" in statuses(made):
            assert time.monotonic() < until
            self.wait()
            made = self.make()
        return made


def by_name(a_plan: RequestPlan) -> dict[str, EndpointSettings]:
    """A plan's endpoints."""
    return {each.name: each for each in a_plan.endpoints}


def statuses(made: pa.Table) -> dict[str, int]:
    """Rows by status."""
    counts = made.group_by("status").aggregate([("content_hash", "count")]).to_pydict()
    return dict(zip(counts["status"], counts["content_hash_count"], strict=True))


def paid(server: LoopbackServer) -> dict[int, int]:
    """How many conversations were paid so many times, online and in batches together."""
    return {int(times): count for times, count in server.stats(conversations=False)["paid_per_conversation"].items()}

"""Submitting: what lacks an answer and can wait is written into files, claimed, and sent.

Belongs here: the steps from conversations to open batches. Which conversations wait belongs in `choosing`, what happens
to a batch afterwards in `tending`.

A file is claimed (`Store.add`) before anything is sent. From then on its conversations wait, in every run and after
every crash, until the batch has ended.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semtel_dagster import interrupts
from semtel_dagster.batches.batch import Batch
from semtel_dagster.batches.choosing import Share, choose, overhead
from semtel_dagster.batches.lines import request_line
from semtel_dagster.batches.provider import OpenAIProvider, Provider
from semtel_dagster.batches.quota import room
from semtel_dagster.batches.store import INPUT, REQUESTED, Store
from semtel_dagster.batches.tending import Tender
from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.interrupts import Interrupted
from semtel_dagster.reducers import BatchSettings
from semtel_dagster.requests.body import BodyTemplate, compile_body
from semtel_dagster.requests.budget import Ledger, Spent
from semtel_dagster.requests.capabilities import Capabilities
from semtel_dagster.requests.journal import Journal
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import EndpointSettings, Price

logger = logging.getLogger(__name__)

MILLION = 1_000_000
Conversations = Callable[[Sequence[str]], Iterator[pa.RecordBatch]]
"""Gives a partition's conversations, with the columns asked for, as often as it is called."""
MakeProvider = Callable[[EndpointSettings], Provider]


@dataclass(frozen=True)
class Submitter:
    """Submits what one classifier asks of one partition.

    Attributes:
        prompt: The classifier's prompt.
        plan: Endpoints, journal, budget.
        settings: What may wait.
        week: The partition's Monday.
        models: The models whose answers count, as the journal names them.
        make_provider: What is asked; tests give their own.
    """

    prompt: CompiledPrompt
    plan: RequestPlan
    settings: BatchSettings
    week: str
    models: tuple[str, ...]
    make_provider: MakeProvider = OpenAIProvider

    def submit(self, conversations: Conversations) -> list[Batch]:
        """Claims and sends what may wait; the batches as they are then.

        Args:
            conversations: The partition's; columns content_hash, n_tokens, and text where asked for.

        Raises:
            SettingsError: No endpoint can be asked as it is configured.
            OSError: The storage cannot be written.
            Interrupted: The process was told to stop; what was claimed is sent by the next poll.
        """
        endpoints = {each.name: each for each in batch_endpoints(self.plan, self.settings)}
        if not endpoints:
            return []
        store = Store.beside(self.plan.journal)
        name = f"{self.prompt.classifier.name}-{self.prompt.fingerprint}"
        # One submission of a prompt at a time: a text that two weeks hold is claimed once.
        with store.lock(name, wait=True):
            missing = self._missing(store, conversations)
            rooms = {each: self._room(store, each) for each in endpoints}
            shares = choose(missing, self.settings, rooms, self._affordable(missing, endpoints))
            claimed = [
                batch
                for share in shares
                for batch in self._claim(store, endpoints[share.endpoint], share, conversations)
            ]
        tender = Tender(store, self.plan.journal, endpoints, self.settings, self.make_provider)
        return [tender.tend(batch.name) or batch for batch in claimed]

    def _missing(self, store: Store, conversations: Conversations) -> pa.Table:
        """What neither the journal answers nor a batch has: REQUESTED."""
        fingerprint, classifier = self.prompt.fingerprint, self.prompt.classifier.name
        taken = store.waiting(classifier, fingerprint) | store.tried(classifier, fingerprint, self.settings.tries)
        more, pieces = overhead(self.prompt), []
        journal = Journal(self.plan.journal, classifier, fingerprint)
        try:
            for batch in conversations(("content_hash", "n_tokens")):
                hashes = batch.column("content_hash")
                unknown = journal.find(hashes, self.models) < 0
                free = np.array([value not in taken for value in hashes.to_pylist()], dtype=bool)
                tokens = pc.add(pc.fill_null(batch.column("n_tokens").cast(pa.int64()), 0), more)
                rows = pa.table([hashes.cast(pa.large_string()), tokens], schema=REQUESTED)
                pieces.append(rows.filter(pa.array(unknown & free)))
        finally:
            journal.close()
        found = pa.concat_tables([REQUESTED.empty_table(), *pieces])
        return found.group_by("content_hash").aggregate([("tokens", "max")]).rename_columns(REQUESTED.names)

    def _room(self, store: Store, endpoint: str) -> int | None:
        return room(store.folder, store.open(), endpoint, self.settings.max_enqueued_tokens)

    def _claim(
        self, store: Store, endpoint: EndpointSettings, share: Share, conversations: Conversations
    ) -> Iterator[Batch]:
        """Writes a share's files; each is claimed if the endpoint still has room for it."""
        model = self.settings.model or endpoint.model or self.prompt.model or ""
        capabilities = Capabilities(self.plan.journal, f"{endpoint.base_url} {endpoint.model}")
        template = compile_body(self.prompt, model, capabilities.lacking)
        url = self.make_provider(endpoint).url
        wanted = dict(zip(*(share.requested[name].to_pylist() for name in REQUESTED.names), strict=True))
        lines = _lines(conversations, wanted, template, url)
        first = next(lines, None)
        while first is not None:
            name = f"semtel-{secrets.token_hex(8)}"
            with store.writing(name) as staging:
                requested, size, first = self._fill(staging, first, lines, wanted)
                batch = Batch(
                    name=name,
                    classifier=self.prompt.classifier.name,
                    fingerprint=self.prompt.fingerprint,
                    endpoint=endpoint.name,
                    model=endpoint.model or self.prompt.model or "",
                    week=self.week,
                    requests=requested.num_rows,
                    tokens=int(pc.sum(requested["tokens"]).as_py()),
                    size=size,
                    made_at=time.time(),
                )
                with store.lock("quota", wait=True):
                    left = self._room(store, endpoint.name)
                    if left is not None and batch.tokens > left:
                        return
                    store.add(batch, requested, staging)
            self._enter(batch, endpoint)
            yield batch

    def _fill(
        self, staging: Path, first: tuple[str, bytes], lines: Iterator[tuple[str, bytes]], tokens: dict[str, int]
    ) -> tuple[pa.Table, int, tuple[str, bytes] | None]:
        """Writes one file up to its limits; what is in it, its bytes, and the line that did not fit any more."""
        names: list[str] = []
        size, most = 0, int(self.settings.max_file_mb * MILLION)
        line: tuple[str, bytes] | None = first
        with (staging / INPUT).open("wb") as file:
            while line is not None and len(names) < self.settings.max_requests:
                if names and size + len(line[1]) > most:
                    break
                file.write(line[1])
                names.append(line[0])
                size += len(line[1])
                line = next(lines, None)
        values = [pa.array(names, pa.large_string()), pa.array([tokens[name] for name in names], pa.int64())]
        return pa.table(values, schema=REQUESTED), size, line

    def _affordable(self, missing: pa.Table, endpoints: dict[str, EndpointSettings]) -> int | None:
        """Conversations that the run's budget allows, by the dearest endpoint's price."""
        budget = self.plan.budget
        if budget is None:
            return None
        spent, each = budget.spent(), max(self._cost(missing, endpoint) for endpoint in endpoints.values())
        caps = [] if budget.max_calls is None else [budget.max_calls - spent.calls]
        if budget.max_cost_usd is not None and each:
            caps.append(int((budget.max_cost_usd - spent.cost_usd) / (each / max(1, missing.num_rows))))
        return max(0, min(caps)) if caps else None

    def _cost(self, requested: pa.Table, endpoint: EndpointSettings) -> float:
        tokens = int(pc.sum(requested["tokens"]).as_py() or 0)
        return expected_cost(tokens, requested.num_rows, endpoint.price, self.prompt, self.settings)

    def _enter(self, batch: Batch, endpoint: EndpointSettings) -> None:
        """Enters a claimed batch as spent: it will be paid, and the run that pays for it may be over by then."""
        if self.plan.budget is not None:
            cost = expected_cost(batch.tokens, batch.requests, endpoint.price, self.prompt, self.settings)
            Ledger(self.plan.budget.ledger).enter(Spent(batch.requests, cost))


def batch_endpoints(plan: RequestPlan, settings: BatchSettings) -> tuple[EndpointSettings, ...]:
    """The endpoints that batches may go to."""
    served = [endpoint for endpoint in plan.endpoints if endpoint.kind != "embedded"]
    return tuple(endpoint for endpoint in served if not settings.endpoints or endpoint.name in settings.endpoints)


def expected_cost(tokens: int, requests: int, price: Price, prompt: CompiledPrompt, settings: BatchSettings) -> float:
    """What a batch may cost at most, in USD: its prompt tokens, and answers as long as they may be."""
    longest = int(prompt.options.get("max_tokens") or prompt.options.get("max_completion_tokens") or 50)
    return settings.price_factor * (tokens * price.input + requests * longest * price.output) / MILLION


def _lines(
    conversations: Conversations, wanted: dict[str, int], template: BodyTemplate, url: str
) -> Iterator[tuple[str, bytes]]:
    """The request lines of the wanted conversations, each once; a text that is no Unicode is left to online calls."""
    written: set[str] = set()
    for batch in conversations(("content_hash", "text")):
        if interrupts.asked():
            raise Interrupted("told to stop; batches that were written are sent by the next poll")
        hashes, texts = batch.column("content_hash").to_pylist(), batch.column("text")
        for at, content_hash in enumerate(hashes):
            if content_hash not in wanted or content_hash in written:
                continue
            written.add(content_hash)
            try:
                line = request_line(content_hash, url, template, str(texts[at]))
            except (TypeError, UnicodeError):
                continue
            yield content_hash, line

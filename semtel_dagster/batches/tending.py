"""Tending open batches: sent, looked at, collected, given up; every step can be cut off anywhere and taken again.

Belongs here: the states a batch goes through. What a provider is asked belongs in `provider`, reading results in
`results`, who calls this (a run that submits, the sensor, `semtel collect`) elsewhere.

Before anything new is asked of a provider the attempt is recorded, and after a crash or a lost reply the provider is
first asked whether the thing is there under our name; only when it is not, and some time has passed, is it made again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from semtel_dagster.batches.batch import Batch
from semtel_dagster.batches.provider import OpenAIProvider, Provider, ProviderError, RemoteBatch
from semtel_dagster.batches.quota import enqueued, finds_room, learn
from semtel_dagster.batches.results import collect
from semtel_dagster.batches.store import Store
from semtel_dagster.errors import SettingsError
from semtel_dagster.reducers import BatchSettings
from semtel_dagster.settings import EndpointSettings

logger = logging.getLogger(__name__)

GRACE_S = 60.0
"""How long a thing that was asked for may take to show in the provider's lists."""
QUOTA_PAUSE_S = 600.0
ENDED = frozenset({"completed", "expired", "cancelled", "failed"})
HOUR = 3600.0


@dataclass
class Tender:
    """Moves batches on; one process at a time has a batch, others leave it alone.

    Attributes:
        store: The batches.
        journal: The journal's folder.
        endpoints: Of the settings, by name.
        settings: How long a batch may take.
        make_provider: What is asked.
        now: The clock, in seconds since 1970.
        grace_s: How long a new thing may take to show in the provider's lists.
        faults: What could not be asked in this round, by batch: codes in words.
    """

    store: Store
    journal: str
    endpoints: Mapping[str, EndpointSettings]
    settings: BatchSettings
    make_provider: Callable[[EndpointSettings], Provider] = OpenAIProvider
    now: Callable[[], float] = time.time
    grace_s: float = GRACE_S
    faults: dict[str, str] = field(default_factory=dict)

    def tend_all(self) -> list[Batch]:
        """Moves every open batch on as far as it goes; the batches that were open, as they are now."""
        self.faults.clear()
        self.store.sweep()
        return [self.tend(batch.name) or batch for batch in self.store.open()]

    def tend(self, name: str) -> Batch | None:
        """Moves one batch on as far as it goes now; None where another process has it."""
        with self.store.lock(name) as mine:
            batch = self.store.get(name) if mine else None
            if batch is None:
                return None
            try:
                provider = self._provider(batch)
                while (moved := self._step(batch, provider)) != batch:
                    batch = moved
            except (ProviderError, SettingsError) as error:
                self.faults[name] = str(error)
                logger.warning("batch %s at %s: %s", name, batch.endpoint, error)
                batch = self.store.get(name) or batch
                if batch.is_open and self._is_overdue(batch, 2 * self.settings.max_wait_hours):
                    batch = self._give_up(batch, "overdue")
            return batch

    def _provider(self, batch: Batch) -> Provider:
        endpoint = self.endpoints.get(batch.endpoint)
        if endpoint is None:
            raise SettingsError(
                f"the endpoint {batch.endpoint!r} is not in the settings any more; put it back until its batches have "
                "ended"
            )
        return self.make_provider(endpoint)

    def _step(self, batch: Batch, provider: Provider) -> Batch:
        """The next step of a batch; the same batch where there is nothing to do now."""
        steps = {"written": self._upload, "uploaded": self._create, "created": self._look}
        return steps[batch.status](batch, provider) if batch.status in steps else batch

    def _upload(self, batch: Batch, provider: Provider) -> Batch:
        filename = f"{batch.name}.jsonl"
        file = provider.find_file(filename) if batch.tried_at is not None else None
        if file is None:
            if not self.store.input(batch.name).exists():
                return self._give_up(batch, "lost")
            self._trying(batch)
            try:
                file = provider.upload(self.store.input(batch.name), filename)
            except ProviderError as error:
                return self._rejected(batch, error)
        return self._save(batch, status="uploaded", input_file=file, tried_at=None)

    def _create(self, batch: Batch, provider: Provider) -> Batch:
        assert batch.input_file
        if batch.tried_at is not None:
            found = provider.find_batches(batch.label)
            if found:
                return self._adopt(batch, provider, found)
            if self.now() - batch.tried_at < self.grace_s:
                return batch
        if self.now() < batch.not_before and not finds_room(self.store.folder, self.store.open(), batch):
            return batch
        if not provider.is_ready(batch.input_file):
            return self._give_up(batch, "overdue") if self._is_overdue(batch, self.settings.max_wait_hours) else batch
        self._trying(batch)
        try:
            remote = provider.create(batch.input_file, batch.label)
        except ProviderError as error:
            if error.quota:
                return self._no_room(batch, provider, error.limit)
            return self._rejected(batch, error)
        return self._created(batch, remote)

    def _adopt(self, batch: Batch, provider: Provider, found: list[RemoteBatch]) -> Batch:
        """Takes up what an earlier attempt has made; of several (a reply was lost twice) one goes on."""
        alive = [each for each in found if each.status != "failed"] or found[-1:]
        for other in alive[1:]:
            if other.status not in ENDED:
                provider.cancel(other.id)
        return self._created(batch, alive[0])

    def _created(self, batch: Batch, remote: RemoteBatch) -> Batch:
        return self._save(
            batch,
            status="created",
            batch_id=remote.id,
            remote_status=remote.status,
            created_at=self.now(),
            tried_at=None,
        )

    def _look(self, batch: Batch, provider: Provider) -> Batch:
        assert batch.batch_id
        remote = provider.retrieve(batch.batch_id)
        if remote.status == "failed" and remote.fault.startswith("token_limit_exceeded"):
            return self._no_room(batch, provider, remote.limit)
        if remote.status in ENDED:
            return self._collect(batch, provider, remote)
        if self._is_overdue(batch, self.settings.max_wait_hours) and remote.status != "cancelling":
            provider.cancel(batch.batch_id)
        return self._save(batch, remote_status=remote.status) if remote.status != batch.remote_status else batch

    def _collect(self, batch: Batch, provider: Provider, remote: RemoteBatch) -> Batch:
        lines = (line for file in remote.results for line in provider.lines(file))
        collected = collect(batch, self.store.requested(batch.name), lines, self.journal)
        ended = collected.batch.model_copy(
            update={"remote_status": remote.status, "ended_at": self.now(), "ending": remote.status}
        )
        ended = self.store.end(ended, collected.released)
        self._tidy(provider, (remote.input_file, *remote.results))
        return ended

    def _no_room(self, batch: Batch, provider: Provider, said: int | None) -> Batch:
        """Enqueued tokens leave no room: tried again as others end; alone and too large, its conversations go free."""
        others = enqueued((each for each in self.store.open() if each.name != batch.name), batch.endpoint)
        limit = learn(self.store.folder, batch.endpoint, said=said, queued=others, refused=batch.tokens)
        logger.info("batch %s: %s has room for %d enqueued tokens", batch.name, batch.endpoint, limit)
        if not others or batch.tokens > limit or self._is_overdue(batch, self.settings.max_wait_hours):
            # Too large: smaller files may follow. Else somebody else fills the quota, and more waiting helps nobody.
            ended = self._give_up(batch, "refused" if batch.tokens > limit else "crowded")
            self._tidy(provider, filter(None, (batch.input_file,)))
            return ended
        self._save(
            batch,
            status="uploaded",
            batch_id=None,
            tried_at=None,
            refusals=batch.refusals + 1,
            not_before=self.now() + QUOTA_PAUSE_S,
        )
        raise ProviderError("token_limit_exceeded; it goes on as other batches end", lasting=False, quota=True)

    def _rejected(self, batch: Batch, error: ProviderError) -> Batch:
        """A lasting refusal ends the batch; anything else is tried again by the next round."""
        if not error.lasting:
            raise error
        logger.warning("batch %s at %s was rejected: %s; it is asked online", batch.name, batch.endpoint, error)
        self.faults[batch.name] = f"{error}; its conversations are asked online"
        return self._give_up(batch, "rejected")

    def _give_up(self, batch: Batch, ending: str) -> Batch:
        ended = batch.model_copy(update={"ended_at": self.now(), "ending": ending})
        return self.store.end(ended, self.store.requested(batch.name))

    def _tidy(self, provider: Provider, files: Iterator[str] | tuple[str, ...]) -> None:
        """Removes conversations from the provider's files once they are of no more use."""
        for file in files:
            try:
                provider.delete(file)
            except ProviderError as error:
                logger.info("a file of a batch could not be removed: %s", error)

    def _is_overdue(self, batch: Batch, hours: float) -> bool:
        return self.now() - batch.made_at > hours * HOUR

    def _trying(self, batch: Batch) -> None:
        self._save(batch, tried_at=self.now())

    def _save(self, batch: Batch, **changes: object) -> Batch:
        return self.store.save(batch.model_copy(update=changes))

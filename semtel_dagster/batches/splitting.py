"""One run, two ways: what can wait is submitted, the rest is asked online, and both end in one table.

Belongs here: joining submission and the row function to a partition's frame. What waits is decided in `choosing`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import narwhals as nw
import pyarrow as pa
import pyarrow.parquet as pq

from semtel_dagster.batches.store import Store
from semtel_dagster.batches.submitting import Conversations, Submitter
from semtel_dagster.batches.waiting import WaitOrAsk
from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.engines.base import ArrowFunction, Engine, Frame
from semtel_dagster.engines.polars import record_batches
from semtel_dagster.reducers import BatchSettings
from semtel_dagster.requests.plan import RequestPlan


def let_wait(
    ask: ArrowFunction,
    distinct: Frame,
    engine: Engine,
    prompt: CompiledPrompt,
    plan: RequestPlan,
    settings: BatchSettings,
    week: str,
) -> ArrowFunction:
    """Submits what can wait, and leaves it out of what `ask` is given; without batches it is `ask` itself.

    Args:
        ask: The row function that asks online.
        distinct: The partition's distinct conversations (content_hash, text, n_tokens).
        engine: The frame's engine.
        prompt: The classifier's prompt.
        plan: Endpoints, journal, budget, as the whole run has them.
        settings: What may wait.
        week: The partition's Monday.

    Raises:
        SettingsError: No endpoint can be asked as it is configured.
    """
    store, models = Store.beside(plan.journal), answering_models(prompt, plan)
    if settings.enabled:
        Submitter(prompt, plan, settings, week, models).submit(conversations_of(distinct, engine, store.folder))
    # Also where batches were switched off: what was submitted before is paid for.
    name, fingerprint = prompt.classifier.name, prompt.fingerprint
    if not settings.enabled and not any(batch.is_open for batch in store.of(name, fingerprint)):
        return ask
    return WaitOrAsk(ask, plan.journal, name, fingerprint, models)


def answering_models(prompt: CompiledPrompt, plan: RequestPlan) -> tuple[str, ...]:
    """The models whose answers count, by the names under which the journal has them."""
    names = []
    for endpoint in plan.endpoints:
        if endpoint.kind == "embedded":
            names += [plan.local_model().name] if plan.local_model else []
        else:
            names.append(endpoint.model or prompt.model or "")
    return tuple(dict.fromkeys(names))


def conversations_of(distinct: Frame, engine: Engine, scratch: Path) -> Conversations:
    """A frame's columns as record batches in this process, streamed; from a cluster they come through a folder."""

    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        chosen = distinct.select(*columns)
        if not engine.distributed:
            yield from record_batches(nw.to_native(chosen))
            return
        scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".semtel-", dir=scratch) as folder:
            engine.write(chosen, folder)
            for part in sorted(Path(folder).glob("*.parquet")):
                yield from pq.ParquetFile(part).iter_batches(batch_size=1024)

    return read

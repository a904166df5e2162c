"""The row function of the classify stage: conversations in, responses out.

Belongs here: the bridge between an iterator of Arrow batches and the loop in its thread: bounded look-ahead, the
journal first, progress. The loop itself belongs in `engine`.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semtel_dagster import interrupts
from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.errors import SettingsError
from semtel_dagster.interrupts import Interrupted
from semtel_dagster.requests.caller import Caller, HttpCaller
from semtel_dagster.requests.capabilities import Capabilities
from semtel_dagster.requests.endpoint import Endpoint
from semtel_dagster.requests.engine import Engine
from semtel_dagster.requests.figures import Figures
from semtel_dagster.requests.journal import Journal, compact
from semtel_dagster.requests.local import LocalCaller
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.requests.recorder import Output, Recorder
from semtel_dagster.requests.row import Row
from semtel_dagster.settings import EndpointSettings

LOOK_AHEAD_ROWS = 4096
LOOK_AHEAD_BYTES = 64_000_000
FEED_ROWS = 512
PROGRESS_S = 1.0
RATE_WINDOW_S = 10.0

Progress = Callable[[Figures], None]


@dataclass(frozen=True)
class ClassifyBatches:
    """Asks about every conversation; picklable, so that it runs inside a Spark task too.

    Attributes:
        prompt: The classifier's prompt.
        plan: Endpoints and how to treat them.
        on_progress: Called about once a second, in the thread that pulls the result, and once at the end.
        total: Rows in all, if the caller knows; for the progress only.
    """

    prompt: CompiledPrompt
    plan: RequestPlan
    on_progress: Progress | None = None
    total: int | None = None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Answers each row once, in any order.

        Input is pulled lazily: at most some thousand rows and 64 MB of text are ahead of the answers.

        Args:
            batches: Columns content_hash, text (large_string) and n_tokens (int32); others are ignored.

        Yields:
            Batches of RESPONSES, one row per input row, already durable in the journal.

        Raises:
            SettingsError: No endpoint can be called as it is configured (no key, no address).
            OSError: The journal cannot be written.
            Interrupted: The process was told to stop.
        """
        run = _Run(self.prompt, self.plan, self.on_progress, self.total)
        try:
            yield from run.stream(iter(batches))
        finally:
            run.stop()


class _Run:
    """One call of the function: the journal, the loop's thread, the recorder's thread."""

    def __init__(
        self, prompt: CompiledPrompt, plan: RequestPlan, on_progress: Progress | None, total: int | None
    ) -> None:
        self._prompt, self._plan = prompt, plan
        self._on_progress, self._total = on_progress, total
        compact(plan.journal, prompt.classifier.name, prompt.fingerprint)
        self._journal = Journal(plan.journal, prompt.classifier.name, prompt.fingerprint)
        self._output: Output = queue.SimpleQueue()
        self._recorder = Recorder(self._journal.writer(), self._output)
        self._engine: Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._found = self._found_failed = 0
        self._began = self._shown_at = monotonic()
        self._pace: deque[tuple[float, int]] = deque([(self._began, 0)])
        self._models: tuple[str, ...] = ()

    def stream(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        self._start()
        waiting: deque[pa.RecordBatch] = deque()
        rows_out, bytes_out, exhausted = 0, 0, False
        sizes: deque[tuple[int, int]] = deque()
        while True:
            while rows_out < self._look_ahead and bytes_out < LOOK_AHEAD_BYTES and not exhausted:
                if not waiting:
                    batch = next(batches, None)
                    if batch is None:
                        exhausted = True
                        self._in_loop("close_input")
                        break
                    waiting.extend(batch.slice(at, FEED_ROWS) for at in range(0, batch.num_rows, FEED_ROWS))
                    continue
                found, rows, size = self._split(waiting.popleft())
                if found is not None:
                    yield found
                if rows:
                    rows_out += len(rows)
                    bytes_out += size
                    sizes.append((len(rows), size))
                    self._in_loop("feed", rows)
                if not self._output.empty():
                    break
            if exhausted and not rows_out:
                break
            done = self._next_output()
            if done is not None:
                rows_out -= done.num_rows
                bytes_out = 0 if not rows_out else int(bytes_out * rows_out / (rows_out + done.num_rows))
                yield done
            self._show()
        self._show(final=True)

    def stop(self) -> None:
        """Ends the threads; finished answers are durable, calls under way are given up."""
        if self._thread is not None and self._thread.is_alive():
            self._in_loop("stop")
            self._thread.join()
        self._recorder.close()
        self._journal.close()

    @property
    def _look_ahead(self) -> int:
        assert self._engine is not None
        allowed = sum(endpoint.concurrency.limit for endpoint in self._engine.endpoints)
        return max(LOOK_AHEAD_ROWS, int(4 * min(allowed, self._plan.max_in_flight)))

    def _split(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch | None, list[Row], int]:
        """The rows that the journal answers, and those to ask with their bytes of text."""
        hashes, texts = batch.column("content_hash"), batch.column("text")
        positions = self._journal.find(hashes, self._models)
        known = positions >= 0
        found = self._journal.read(positions[known]) if known.any() else None
        if found is not None:
            self._found += found.num_rows
            self._found_failed += pc.sum(pc.equal(found.column("status"), "failed")).as_py() or 0
        tokens = batch.column("n_tokens").to_pylist()
        names = hashes.to_pylist()
        rows = [Row(names[at], texts, at, tokens[at] or 0) for at in np.flatnonzero(~known).tolist()]
        size = pc.sum(pc.binary_length(texts)).as_py() or 0 if rows else 0
        return found, rows, size

    def _next_output(self) -> pa.RecordBatch | None:
        if interrupts.asked():
            raise Interrupted("told to stop; finished answers are in the journal, run again to go on")
        try:
            item = self._output.get(timeout=PROGRESS_S / 4)
        except queue.Empty:
            return None
        if isinstance(item, BaseException):
            raise item
        return item

    # the loop's thread

    def _start(self) -> None:
        started: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, args=(started,), name="semtel-requests", daemon=True)
        self._thread.start()
        fault = started.get()
        if fault is not None:
            raise fault

    def _work(self, started: queue.SimpleQueue[BaseException | None]) -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._main(started))
        except BaseException as fault:  # noqa: BLE001
            self._output.put(fault)
            started.put(fault)

    async def _main(self, started: queue.SimpleQueue[BaseException | None]) -> None:
        self._loop = asyncio.get_running_loop()
        longest = int(self._prompt.options.get("max_tokens") or self._prompt.options.get("max_completion_tokens") or 50)
        endpoints = [
            Endpoint(settings, self._caller(settings), self._plan, self._prompt.static_tokens, longest)
            for settings in self._plan.endpoints
        ]
        self._models = tuple({endpoint.model for endpoint in endpoints})
        self._engine = Engine(endpoints, self._plan, self._prompt.fingerprint, self._recorder.put)
        started.put(None)
        await self._engine.run()

    def _caller(self, settings: EndpointSettings) -> Caller:
        if settings.kind == "embedded":
            if self._plan.local_model is None:
                raise SettingsError(f"endpoint {settings.name!r} is embedded, but the plan has no local_model")
            return LocalCaller(self._plan.local_model, self._prompt)
        capabilities = Capabilities(self._plan.journal, f"{settings.base_url} {settings.model}")
        return HttpCaller(settings, self._prompt, capabilities, self._plan.max_in_flight)

    def _in_loop(self, method: str, *arguments: object) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended, by a fault that the output brings
            self._loop.call_soon_threadsafe(getattr(self._engine, method), *arguments)

    # progress

    def _show(self, *, final: bool = False) -> None:
        now = monotonic()
        if self._on_progress is None or (not final and now - self._shown_at < PROGRESS_S):
            return
        self._shown_at = now
        self._on_progress(self._figures(now))

    def _figures(self, now: float) -> Figures:
        assert self._engine is not None
        asked = self._engine.figures()
        done = asked.done + self._found
        self._pace.append((now, done))
        while len(self._pace) > 2 and self._pace[0][0] < now - RATE_WINDOW_S:
            self._pace.popleft()
        since, before = self._pace[0]
        return replace(
            asked,
            done=done,
            total=self._total,
            answered=asked.answered + self._found - self._found_failed,
            failed=asked.failed + self._found_failed,
            from_journal=self._found,
            seconds=now - self._began,
            rate=(done - before) / max(now - since, 1e-6),
        )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop

"""The row function of the classify stage: conversations in, responses out.

Belongs here: the bridge between an iterator of Arrow batches and the engine: bounded look-ahead, the journal first,
results as they come. The engine's thread belongs in `worker`, the journal's thread in `recorder`, looking answers up
in `lookup`, figures in `live`.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from semtel_dagster import interrupts
from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.interrupts import Interrupted
from semtel_dagster.requests.journal import Journal, compact
from semtel_dagster.requests.live import LiveFigures, Progress
from semtel_dagster.requests.lookup import Lookup, Split
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.requests.recorder import Output, Recorder
from semtel_dagster.requests.stores import Store
from semtel_dagster.requests.worker import Worker

LOOK_AHEAD_ROWS = 4096
LOOK_AHEAD_BYTES = 64_000_000
FEED_ROWS = 512
POLL_S = 0.25


@dataclass(frozen=True)
class ClassifyBatches:
    """Asks about every conversation; picklable, so that it runs inside a Spark task too.

    Attributes:
        prompt: The classifier's prompt.
        plan: Endpoints and how to treat them.
        on_progress: Called about once a second, in the thread that pulls the result, and once at the end.
        total: Rows in all, if the caller knows; for the progress only.
        store: Where answers are looked up and kept; unset: the classifier's journal in the plan's folder.
    """

    prompt: CompiledPrompt
    plan: RequestPlan
    on_progress: Progress | None = None
    total: int | None = None
    store: Store | None = None

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
        run = _Run(self.prompt, self.plan, self.store)
        try:
            yield from run.stream(iter(batches), LiveFigures(self.on_progress, self.total))
        finally:
            run.stop()


class _LookAhead:
    """How much input is ahead of the answers."""

    def __init__(self) -> None:
        self.rows = self.size = 0

    def has_room(self, rows: int) -> bool:
        return self.rows < rows and self.size < LOOK_AHEAD_BYTES

    def add(self, split: Split) -> None:
        self.rows += len(split.rows)
        self.size += split.size

    def finish(self, rows: int) -> None:
        """Rows have ended: which ones is not known here, so bytes go with them in proportion."""
        self.size = self.size * (self.rows - rows) // self.rows if self.rows > rows else 0
        self.rows -= rows


class _Run:
    """One call of the function: the journal, the engine's thread, the recorder's thread."""

    def __init__(self, prompt: CompiledPrompt, plan: RequestPlan, store: Store | None) -> None:
        self._plan = plan
        self._journal = _journal(prompt, plan) if store is None else store
        self._output: Output = queue.SimpleQueue()
        self._recorder = Recorder(self._journal.writer(), self._output)
        self._worker = Worker(prompt, plan, self._recorder.put, self._output.put)
        self._ahead = _LookAhead()

    def stream(self, batches: Iterator[pa.RecordBatch], live: LiveFigures) -> Iterator[pa.RecordBatch]:
        """Feeds input as far as it may be ahead, yields what is found and what comes."""
        self._worker.start()
        lookup = Lookup(self._journal, self._worker.models)
        pieces = _pieces(batches)
        exhausted = False
        while not exhausted or self._ahead.rows:
            if interrupts.asked():
                raise Interrupted("told to stop; finished answers are in the journal, run again to go on")
            if not exhausted and self._output.empty() and self._ahead.has_room(self._most_rows):
                piece = next(pieces, None)
                exhausted = piece is None
                result = self._feed(lookup, piece)
            else:
                result = self._next_output()
            if result is not None:
                yield result
            live.show(self._worker.figures, lookup)
        live.show(self._worker.figures, lookup, final=True)

    def stop(self) -> None:
        """Ends the threads; finished answers are durable, calls under way are given up."""
        self._worker.stop()
        self._recorder.close()
        self._journal.close()

    def _feed(self, lookup: Lookup, piece: pa.RecordBatch | None) -> pa.RecordBatch | None:
        """Hands what has to be asked to the engine; the answers that are there."""
        if piece is None:
            self._worker.close_input()
            return None
        split = lookup.split(piece)
        if split.rows:
            self._ahead.add(split)
            self._worker.feed(split.rows)
        return split.found

    @property
    def _most_rows(self) -> int:
        return max(LOOK_AHEAD_ROWS, int(4 * min(self._worker.allowed_in_flight, self._plan.max_in_flight)))

    def _next_output(self) -> pa.RecordBatch | None:
        try:
            item = self._output.get(timeout=POLL_S)
        except queue.Empty:
            return None
        if isinstance(item, BaseException):
            raise item
        if item is not None:
            self._ahead.finish(item.num_rows)
        return item


def _journal(prompt: CompiledPrompt, plan: RequestPlan) -> Journal:
    compact(plan.journal, prompt.classifier.name, prompt.fingerprint)
    return Journal(plan.journal, prompt.classifier.name, prompt.fingerprint)


def _pieces(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches in slices small enough to be fed at once."""
    for batch in batches:
        yield from (batch.slice(at, FEED_ROWS) for at in range(0, batch.num_rows, FEED_ROWS))

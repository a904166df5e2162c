"""Finished rows become batches, go to the journal, then out: in threads of their own.

Belongs here: the one place where answers become durable before anybody sees them. The loop never waits for it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeAlias

import pyarrow as pa

from semtel_dagster.requests.row import Record, to_batch
from semtel_dagster.requests.stores import Writer

Output: TypeAlias = "queue.SimpleQueue[pa.RecordBatch | BaseException | None]"


class Recorder:
    """Takes lists of finished rows; puts batches of RESPONSES, already durable, into `output`.

    One thread writes, another waits for the disk and hands on: a slow disk must not keep newer answers from being
    written, since a written answer outlives a killed process. After the last batch comes None; a fault of the disk
    comes as the exception itself.
    """

    def __init__(self, writer: Writer, output: Output) -> None:
        """Starts the threads."""
        # With the first list that it reads pyarrow imports pandas, where there is one: now, not with the first answers.
        pa.array([""], pa.large_string())
        self._writer = writer
        self._output = output
        self._records: queue.SimpleQueue[list[Record] | None] = queue.SimpleQueue()
        self._written: queue.SimpleQueue[pa.RecordBatch | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._guard, args=(work, last), name=name, daemon=True)
            for name, work, last in (
                ("semtel-journal", self._write, lambda: self._written.put(None)),
                ("semtel-journal-sync", self._sync, lambda: self._output.put(None)),
            )
        ]
        for thread in self._threads:
            thread.start()

    def put(self, records: list[Record]) -> None:
        """Takes rows; never blocks."""
        self._records.put(records)

    def close(self) -> None:
        """Writes what is left and waits for it."""
        self._records.put(None)
        for thread in self._threads:
            thread.join()
        self._writer.close()

    def _guard(self, work: Callable[[], None], last: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as fault:  # noqa: BLE001
            self._output.put(fault)
        finally:
            last()

    def _write(self) -> None:
        while (records := self._records.get()) is not None:
            batch, keep = to_batch(records)
            kept = batch if all(keep) else batch.filter(pa.array(keep, pa.bool_()))
            if kept.num_rows:
                self._writer.write(kept)
            self._written.put(batch)

    def _sync(self) -> None:
        """One wait for the disk stands for everything written until then."""
        ended = False
        while not ended:
            batches = [self._written.get()]
            while not self._written.empty():
                batches.append(self._written.get())
            self._writer.sync()
            for batch in batches:
                if batch is None:
                    ended = True
                else:
                    self._output.put(batch)

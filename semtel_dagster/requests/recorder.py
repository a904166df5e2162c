"""Finished rows become batches, go to the journal, then out: in a thread of its own.

Belongs here: the one place where answers become durable before anybody sees them. The loop never waits for it.
"""

from __future__ import annotations

import queue
import threading
from typing import TypeAlias

import pyarrow as pa

from semtel_dagster.requests.parts import PartWriter
from semtel_dagster.requests.row import Record, to_batch

Output: TypeAlias = "queue.SimpleQueue[pa.RecordBatch | BaseException | None]"


class Recorder:
    """Takes lists of finished rows; puts batches of RESPONSES, already durable, into `output`.

    After the last batch comes None; a fault of the disk comes as the exception itself.
    """

    def __init__(self, writer: PartWriter, output: Output) -> None:
        """Starts the thread."""
        self._writer = writer
        self._output = output
        self._records: queue.SimpleQueue[list[Record] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="semtel-journal", daemon=True)
        self._thread.start()

    def put(self, records: list[Record]) -> None:
        """Takes rows; never blocks."""
        self._records.put(records)

    def close(self) -> None:
        """Writes what is left and waits for it."""
        self._records.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (records := self._records.get()) is not None:
                batch, keep = to_batch(records)
                kept = batch if all(keep) else batch.filter(pa.array(keep, pa.bool_()))
                if kept.num_rows:
                    self._writer.append(kept)
                self._output.put(batch)
        except BaseException as fault:  # noqa: BLE001
            self._output.put(fault)
        finally:
            self._writer.close()
            self._output.put(None)

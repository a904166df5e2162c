"""The embedded model behind the interface of an endpoint: micro-batches in a worker thread, no HTTP.

Belongs here: gathering calls into batches and handing answers back. What the model computes belongs in `embedding`.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable

from semtel_dagster.classifiers import CompiledPrompt, LocalModel
from semtel_dagster.requests.outcome import Kind, Outcome

BATCH_ROWS = 64

_Job = tuple[str, "asyncio.Future[Outcome]"]


class LocalCaller:
    """Answers in this process.

    The model belongs to its thread: it is made there and used by nobody else. A batch that raises is asked again row
    by row, so that one bad transcript fails alone.
    """

    def __init__(self, make_model: Callable[[], LocalModel], prompt: CompiledPrompt) -> None:
        """Makes the model in its thread and waits for it; must run inside the event loop."""
        self._prompt = prompt
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        ready: queue.SimpleQueue[LocalModel | BaseException] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, args=(make_model, ready), name="semtel-local", daemon=True)
        self._thread.start()
        made = ready.get()
        if isinstance(made, BaseException):
            raise made
        self.model = made.name

    async def call(self, transcript: str, timeout: float) -> Outcome:
        """Asks about one transcript; a computation in this process is not timed out."""
        future: asyncio.Future[Outcome] = self._loop.create_future()
        self._jobs.put((transcript, future))
        return await future

    async def close(self) -> None:
        """Ends the thread after the batch it works on."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self, make_model: Callable[[], LocalModel], ready: queue.SimpleQueue[LocalModel | BaseException]) -> None:
        try:
            model = make_model()
        except BaseException as error:  # noqa: BLE001
            ready.put(error)
            return
        ready.put(model)
        while True:
            job = self._jobs.get()
            if job is None:
                return
            jobs = [job]
            while len(jobs) < BATCH_ROWS:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    self._jobs.put(None)
                    break
                jobs.append(job)
            outcomes = self._answer(model, [transcript for transcript, _ in jobs])
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_hand_back, jobs, outcomes)

    def _answer(self, model: LocalModel, transcripts: list[str]) -> list[Outcome]:
        try:
            answers = model.answer(self._prompt, transcripts)
        except Exception as error:  # noqa: BLE001
            if len(transcripts) == 1:
                return [Outcome(Kind.ROW_FAULT, f"local_model_{type(error).__name__}")]
            return [self._answer(model, [transcript])[0] for transcript in transcripts]
        return [Outcome(Kind.ANSWERED, text=answer, finish_reason="stop") for answer in answers]


def _hand_back(jobs: list[_Job], outcomes: list[Outcome]) -> None:
    for (_, future), outcome in zip(jobs, outcomes, strict=True):
        if not future.done():
            future.set_result(outcome)

"""The engine's thread: an event loop of its own, with the endpoints and the engine in it.

Belongs here: starting, handing rows across, stopping, faults of the loop. What the loop does belongs in `engine`;
who feeds it in `classify`.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.errors import SettingsError
from semtel_dagster.requests.caller import Caller, HttpCaller
from semtel_dagster.requests.capabilities import Capabilities
from semtel_dagster.requests.endpoint import Endpoint
from semtel_dagster.requests.engine import Engine
from semtel_dagster.requests.figures import Figures
from semtel_dagster.requests.garbage import rare_collections
from semtel_dagster.requests.local import LocalCaller
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.requests.row import Record, Row
from semtel_dagster.settings import EndpointSettings

USUAL_ANSWER_TOKENS = 50


class Worker:
    """Runs an engine in a thread; every method may be called from any other thread.

    Attributes:
        models: The models that answer, once started.
    """

    def __init__(
        self,
        prompt: CompiledPrompt,
        plan: RequestPlan,
        flush: Callable[[list[Record]], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Starts nothing yet.

        Args:
            prompt: The classifier's prompt.
            plan: Endpoints and how to treat them.
            flush: Takes finished rows away, in the loop's thread; must not block.
            failed: Takes the fault that ended the loop, in the loop's thread.
        """
        self._prompt, self._plan = prompt, plan
        self._flush, self._failed = flush, failed
        self._engine: Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.models: tuple[str, ...] = ()

    def start(self) -> None:
        """Makes the endpoints and waits until the loop takes rows.

        Raises:
            SettingsError: No endpoint can be called as it is configured.
        """
        started: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, args=(started,), name="semtel-requests", daemon=True)
        self._thread.start()
        fault = started.get()
        if fault is not None:
            self._thread.join()
            raise fault

    def feed(self, rows: list[Row]) -> None:
        """Hands rows to the engine."""
        self._in_loop("feed", rows)

    def close_input(self) -> None:
        """No more rows will come."""
        self._in_loop("close_input")

    def stop(self) -> None:
        """Gives up the calls under way and waits for the thread's end; does nothing when it has ended."""
        if self._thread is not None and self._thread.is_alive():
            self._in_loop("stop")
            self._thread.join()

    @property
    def allowed_in_flight(self) -> float:
        """Calls that the endpoints together may have in flight now."""
        assert self._engine is not None
        return sum(endpoint.concurrency.limit for endpoint in self._engine.endpoints)

    def figures(self) -> Figures:
        """The engine's numbers so far."""
        assert self._engine is not None
        return self._engine.figures()

    def _in_loop(self, method: str, *arguments: object) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended, by a fault that was handed over
            self._loop.call_soon_threadsafe(getattr(self._engine, method), *arguments)

    def _work(self, started: queue.SimpleQueue[BaseException | None]) -> None:
        try:
            with rare_collections(), asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._main(started))
        except BaseException as fault:  # noqa: BLE001
            self._failed(fault)
            started.put(fault)

    async def _main(self, started: queue.SimpleQueue[BaseException | None]) -> None:
        options = self._prompt.options
        longest = int(options.get("max_tokens") or options.get("max_completion_tokens") or USUAL_ANSWER_TOKENS)
        endpoints = [
            Endpoint(settings, self._caller(settings), self._plan, self._prompt.static_tokens, longest)
            for settings in self._plan.endpoints
        ]
        self.models = tuple({endpoint.model for endpoint in endpoints})
        self._engine = Engine(endpoints, self._plan, self._prompt.fingerprint, self._flush)
        self._loop = asyncio.get_running_loop()
        started.put(None)
        await self._engine.run()

    def _caller(self, settings: EndpointSettings) -> Caller:
        if settings.kind == "embedded":
            if self._plan.local_model is None:
                raise SettingsError(f"endpoint {settings.name!r} is embedded, but the plan has no local_model")
            return LocalCaller(self._plan.local_model, self._prompt)
        capabilities = Capabilities(self._plan.journal, f"{settings.base_url} {settings.model}")
        return HttpCaller(settings, self._prompt, capabilities, self._plan.max_in_flight)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop

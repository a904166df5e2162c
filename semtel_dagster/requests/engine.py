"""The loop: rows in, calls out over many endpoints, every row to an end.

Belongs here: dispatching, giving up. Limits, health and concurrency belong to the endpoints; the line of rows to
`waiting`, what a failed call means for one to `retry`, finished ones to `outbox`, second calls to `hedging`, other
processes to `sharing`; Arrow, threads and the journal to `classify` and `recorder`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic

from semtel_dagster.requests.alarm import Alarm
from semtel_dagster.requests.budget import SPENT, BudgetSpentError, Purse
from semtel_dagster.requests.endpoint import Endpoint
from semtel_dagster.requests.figures import Figures
from semtel_dagster.requests.hedging import find_straggler, may_hedge
from semtel_dagster.requests.outbox import Outbox
from semtel_dagster.requests.outcome import Kind, Outcome
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.requests.retry import Retry
from semtel_dagster.requests.rotation import pick
from semtel_dagster.requests.row import Flight, Record, Row, answered, failed
from semtel_dagster.requests.sharing import meet
from semtel_dagster.requests.waiting import Waiting

TICK_S = 0.1
FAILURES = frozenset({Kind.TRANSIENT, Kind.OVERLOADED, Kind.POISONED})


class Engine:
    """Drives the endpoints; lives in one event loop.

    Every method but `figures` must be called inside that loop.
    """

    def __init__(
        self, endpoints: Sequence[Endpoint], plan: RequestPlan, fingerprint: str, flush: Callable[[list[Record]], None]
    ) -> None:
        """Starts empty.

        Args:
            endpoints: Where calls may go.
            plan: Attempts, timeouts, flush interval.
            fingerprint: The prompt's, as it is recorded.
            flush: Takes finished rows away; must not block.
        """
        self.endpoints = tuple(endpoints)
        self.retried = self.hedged = 0
        self._plan = plan
        self._fingerprint = fingerprint
        self._outbox = Outbox(flush, plan.requests.flush_s)
        self._waiting = Waiting()
        self._retry = Retry(self._waiting, self.endpoints, plan.requests.max_attempts)
        self._by_hash: dict[str, Row] = {}
        self._flying: dict[Flight, None] = {}
        self._closed = False
        self._ended = asyncio.Event()
        self._alive_at = self._answer_at = monotonic()
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._loop, self._pump)
        self._tasks: set[asyncio.Task[None]] = set()
        self._fault: BaseException | None = None
        self._purse = Purse(plan.budget, self.endpoints) if plan.budget else None
        self._synced_at = monotonic()
        self._beside = ThreadPoolExecutor(1, "team")
        self._meetings = meet(plan, self.endpoints, self._beside)

    def feed(self, rows: list[Row]) -> None:
        """Takes rows in; a row whose text is already under way shares that one's answer."""
        for row in rows:
            twin = self._by_hash.setdefault(row.content_hash, row)
            if twin is row:
                self._waiting.ready.append(row)
            else:
                twin.followers += 1
        self._share(monotonic())
        self._pump()

    def close_input(self) -> None:
        """No more rows will come."""
        self._closed = True
        self._end_if_done()

    async def run(self) -> None:
        """Works until the input is closed and every row has ended.

        Raises:
            Exception: A fault of the engine itself.
        """
        ticker = self._loop.create_task(self._tick())
        try:
            await self._ended.wait()
        finally:
            ticker.cancel()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(ticker, *self._tasks, return_exceptions=True)
            self._outbox.flush()
            if self._purse:
                self._purse.sync()
            for meeting in self._meetings:
                meeting.leave()
            self._beside.shutdown()
            for endpoint in self.endpoints:
                await endpoint.caller.close()
        if self._fault is not None:
            raise self._fault

    def stop(self) -> None:
        """Ends at once: calls under way are given up, finished rows are kept."""
        self._ended.set()

    def _pump(self) -> None:
        """Sends every row that may go now; sets a timer for the next one."""
        now = monotonic()
        self._waiting.call_up(now)
        ready = self._waiting.ready
        while ready and len(self._flying) < self._plan.max_in_flight:
            if not self._may_spend():
                break
            row = ready[0]
            endpoint, wait = pick(self.endpoints, now, len(ready), row)
            if endpoint is None:
                self._alarm.set(now + wait, now)
                break
            if endpoint.breaker.fault:
                row = self._waiting.take_for_probe()
            else:
                ready.popleft()
            self._send(row, endpoint, now)
        self._alarm.set(self._waiting.next_at, now)

    def _may_spend(self) -> bool:
        """Whether the budget allows another call; the run ends when it does not and no call under way can change it."""
        if self._purse is None or self._purse.allows(len(self._flying)):
            return True
        if not self._flying:
            self._fault = BudgetSpentError(SPENT)
            self._ended.set()
        return False

    def _sync_purse(self, now: float) -> None:
        if self._purse and now - self._synced_at >= self._plan.requests.flush_s:
            self._synced_at = now
            self._purse.sync(len(self._flying))

    def _share(self, now: float) -> None:
        """Looks after the other processes; with nothing left to send, leaves them this one's share."""
        for meeting in self._meetings:
            if self._closed and not len(self._waiting):
                meeting.leave()
            elif self._by_hash:
                meeting.look(now)

    def _send(self, row: Row, endpoint: Endpoint, now: float, *, hedge: bool = False) -> None:
        flight = endpoint.begin(row, now)
        flight.hedge = hedge
        if row.attempts > row.refusals and not hedge:
            self.retried += 1
        row.attempts += 1
        row.flights = (*row.flights, flight)
        self._flying[flight] = None
        flight.task = task = self._loop.create_task(self._call(flight))
        self._tasks.add(task)
        task.add_done_callback(partial(self._forget, flight))

    async def _call(self, flight: Flight) -> None:
        endpoint, row = flight.endpoint, flight.row
        try:
            outcome = await endpoint.caller.call(row.text, endpoint.timeout.seconds(row.tries))
        except asyncio.CancelledError:
            raise
        except (TypeError, UnicodeError):
            outcome = Outcome(Kind.ROW_FAULT, "text_not_unicode")
        except BaseException as fault:  # noqa: BLE001
            self._fault = fault
            self._ended.set()
            return
        self._land(flight, outcome)
        self._pump()

    def _forget(self, flight: Flight, task: asyncio.Task[None]) -> None:
        """A call's task has ended. One that was given up, perhaps before it began, has not landed."""
        self._tasks.discard(task)
        if flight in self._flying:
            self._take_down(flight)
            flight.endpoint.cancel(flight, monotonic())

    def _take_down(self, flight: Flight) -> None:
        del self._flying[flight]
        flight.row.flights = tuple(other for other in flight.row.flights if other is not flight)

    def _land(self, flight: Flight, outcome: Outcome) -> None:
        now = monotonic()
        self._take_down(flight)
        row, kind = flight.row, outcome.kind
        if kind in FAILURES:
            row.fail_beside(self._outbox.answered)
        elif kind is not Kind.UNUSABLE:
            self._alive_at = now
        flight.endpoint.end(flight, outcome, now)
        if row.done:
            return
        if kind is Kind.ANSWERED:
            self._answer_at = now
            self._end(row, answered(row, self._fingerprint, flight.endpoint, outcome, now - flight.began))
        elif self._retry.ends(flight, outcome, now):
            self._end(row, failed(row, self._fingerprint, flight.endpoint, outcome, now - flight.began))

    def _end(self, row: Row, record: Record) -> None:
        row.done = True
        del self._by_hash[row.content_hash]
        for flight in row.flights:
            if flight.task is not None:
                flight.task.cancel()
        self._outbox.put(record, row.followers)
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self._closed and not self._by_hash:
            self._ended.set()

    async def _tick(self) -> None:
        pause = min(TICK_S, self._outbox.due_s / 2)
        try:
            while True:
                await asyncio.sleep(pause)
                now = monotonic()
                self._outbox.flush_if_due(now + pause / 2)
                self._sync_purse(now)
                self._share(now)
                self._give_up(now)
                self._hedge(now)
                self._pump()
        except asyncio.CancelledError:
            raise
        except BaseException as fault:  # noqa: BLE001
            self._fault = fault
            self._ended.set()

    def _give_up(self, now: float) -> None:
        """Ends the waiting rows when no endpoint can be hoped for."""
        if not self._by_hash:
            self._alive_at = self._answer_at = now
            return
        out = [endpoint for endpoint in self.endpoints if endpoint.breaker.fault]
        if len(out) == len(self.endpoints) and (
            all(endpoint.breaker.hopeless for endpoint in out) or now - self._alive_at > self._plan.give_up_s
        ):
            self._fail_waiting(out[0].breaker.fault)
        elif now - self._answer_at > self._plan.patience_s:
            self._fail_waiting("rate_limited")

    def _fail_waiting(self, reason: str) -> None:
        for row in self._waiting.drain():
            last = row.last or Outcome(Kind.TRANSIENT, reason)
            self._end(row, failed(row, self._fingerprint, None, last, None))

    def _hedge(self, now: float) -> None:
        """At the end of a run stragglers get a second call; the first answer counts."""
        if not self._plan.hedge or not self._closed or len(self._waiting):
            return
        while may_hedge(self.endpoints, self.hedged):
            found = find_straggler(self._flying, self.endpoints, now)
            if found is None or not self._may_spend():
                return
            flight, endpoint = found
            self.hedged += 1
            self._send(flight.row, endpoint, now, hedge=True)

    def figures(self) -> Figures:
        """The numbers so far, without what the caller knows (total, journal, rate); may be read from any thread."""
        each = tuple(endpoint.figures() for endpoint in self.endpoints)
        return Figures.of(each, self._outbox.answered, self._outbox.failed, self.retried, self.hedged)

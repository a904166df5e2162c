"""The loop: rows in, calls out over many endpoints, every row to an end.

Belongs here: dispatching, retrying, hedging, giving up. Limits, health and concurrency belong to the endpoints;
Arrow, threads and the journal to `classify` and `recorder`.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from random import Random
from time import monotonic

from semtel_dagster.requests.budget import SPENT, BudgetSpentError, Purse
from semtel_dagster.requests.endpoint import Endpoint
from semtel_dagster.requests.figures import Figures
from semtel_dagster.requests.outcome import Kind, Outcome
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.requests.rotation import pick
from semtel_dagster.requests.row import Flight, Record, Row, answered, failed, follower_of

TICK_S = 0.1
FIRST_BACKOFF_S = 0.25
LONGEST_BACKOFF_S = 20.0
MOST_ROW_FAULTS = 2
HEDGED_SHARE = 0.02
FLUSH_ROWS = 1024
FLUSH_SHARE = 0.7  # of flush_s: building, writing and fsync take the rest


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
        self.retried = self.hedged = self.answered = self.failed = 0
        self._plan = plan
        self._fingerprint = fingerprint
        self._flush_to = flush
        self._random = Random()
        self._ready: deque[Row] = deque()
        self._later: list[tuple[float, int, Row]] = []
        self._sequence = 0
        self._by_hash: dict[str, Row] = {}
        self._flying: dict[Flight, None] = {}
        self._records: list[Record] = []
        self._oldest_record = inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._closed = False
        self._ended = asyncio.Event()
        self._alive_at = self._answer_at = monotonic()
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._fault: BaseException | None = None
        self._purse = Purse(plan.budget, self.endpoints) if plan.budget else None
        self._synced_at = monotonic()

    def feed(self, rows: list[Row]) -> None:
        """Takes rows in; a row whose text is already under way shares that one's answer."""
        for row in rows:
            twin = self._by_hash.setdefault(row.content_hash, row)
            if twin is row:
                self._ready.append(row)
            else:
                twin.followers += 1
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
            self._flush()
            if self._purse:
                self._purse.sync()
            for endpoint in self.endpoints:
                await endpoint.caller.close()
        if self._fault is not None:
            raise self._fault

    def stop(self) -> None:
        """Ends at once: calls under way are given up, finished rows are kept."""
        self._ended.set()

    # dispatching

    def _pump(self) -> None:
        """Sends every row that may go now; sets a timer for the next one."""
        now = monotonic()
        while self._later and self._later[0][0] <= now:
            self._ready.appendleft(heapq.heappop(self._later)[2])
        ready = self._ready
        while ready and len(self._flying) < self._plan.max_in_flight:
            if not self._may_spend():
                break
            row = ready[0]
            endpoint, wait = pick(self.endpoints, now, len(ready), row)
            if endpoint is None:
                self._wake(now + wait, now)
                break
            ready.popleft()
            self._send(row, endpoint, now)
        if self._later:
            self._wake(self._later[0][0], now)

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

    def _wake(self, at: float, now: float) -> None:
        if at == inf or (self._timer is not None and self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_later(max(at - now, 0.001), self._woken)

    def _woken(self) -> None:
        self._timer, self._timer_at = None, inf
        self._pump()

    def _send(self, row: Row, endpoint: Endpoint, now: float, *, hedge: bool = False) -> None:
        flight = endpoint.begin(row, now)
        flight.hedge = hedge
        if row.attempts > row.refusals and not hedge:
            self.retried += 1
        row.attempts += 1
        row.flights = (*row.flights, flight)
        self._flying[flight] = None
        task = self._loop.create_task(self._call(flight))
        flight.task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, flight: Flight) -> None:
        endpoint, row = flight.endpoint, flight.row
        try:
            outcome = await endpoint.caller.call(row.text, endpoint.timeout.seconds)
        except asyncio.CancelledError:
            self._take_down(flight)
            endpoint.cancel(flight, monotonic())
            return
        except (TypeError, UnicodeError):
            outcome = Outcome(Kind.ROW_FAULT, "text_not_unicode")
        except BaseException as fault:  # noqa: BLE001
            self._fault = fault
            self._ended.set()
            return
        self._land(flight, outcome)
        self._pump()

    def _take_down(self, flight: Flight) -> None:
        del self._flying[flight]
        row = flight.row
        row.flights = tuple(other for other in row.flights if other is not flight)

    def _land(self, flight: Flight, outcome: Outcome) -> None:
        now = monotonic()
        self._take_down(flight)
        flight.endpoint.end(flight, outcome, now)
        row, kind = flight.row, outcome.kind
        if kind not in {Kind.TRANSIENT, Kind.OVERLOADED, Kind.POISONED, Kind.UNUSABLE}:
            self._alive_at = now
        if row.done:
            return
        if kind is Kind.ANSWERED:
            self._answer_at = now
            self._end(row, answered(row, self._fingerprint, flight.endpoint, outcome, now - flight.began))
        elif kind is Kind.ROW_FAULT:
            self._take_row_fault(flight, outcome, now)
        elif kind is Kind.REFUSED:
            row.refusals += 1
            self._again(row)
        elif kind in {Kind.UNSUPPORTED, Kind.UNUSABLE}:
            row.last, row.avoid = outcome, flight.endpoint if kind is Kind.UNUSABLE else None
            self._again(row)
        else:
            self._take_failure(flight, outcome, now)

    # a row's way

    def _again(self, row: Row) -> None:
        """Back to the head of the queue: waiting rows hold no slot."""
        if not row.flights:
            self._ready.appendleft(row)

    def _take_row_fault(self, flight: Flight, outcome: Outcome, now: float) -> None:
        """Another endpoint may see it otherwise; where there is none, asking again would bring the same."""
        row = flight.row
        row.faults += 1
        row.last, row.avoid = outcome, flight.endpoint
        elsewhere = any(other is not flight.endpoint and not other.breaker.fault for other in self.endpoints)
        if row.faults >= MOST_ROW_FAULTS or not elsewhere:
            self._end(row, failed(row, self._fingerprint, flight.endpoint, outcome, now - flight.began))
        else:
            self._again(row)

    def _take_failure(self, flight: Flight, outcome: Outcome, now: float) -> None:
        """Full jitter (Brooker 2015) after a failure of endpoint or network; probes do not count against a row."""
        row = flight.row
        row.last, row.avoid = outcome, flight.endpoint
        if not flight.probe:
            row.tries += 1
        if row.tries >= self._plan.requests.max_attempts:
            if not row.flights:
                self._end(row, failed(row, self._fingerprint, flight.endpoint, outcome, now - flight.began))
            return
        if not row.flights:
            longest = min(FIRST_BACKOFF_S * 2.0 ** (row.tries - 1), LONGEST_BACKOFF_S)
            self._sequence += 1
            heapq.heappush(self._later, (now + self._random.uniform(0.0, longest), self._sequence, row))

    def _end(self, row: Row, record: Record) -> None:
        row.done = True
        del self._by_hash[row.content_hash]
        for flight in row.flights:
            if flight.task is not None:
                flight.task.cancel()
        self._record(record)
        for _ in range(row.followers):
            self._record(follower_of(record))
        self._end_if_done()

    def _record(self, record: Record) -> None:
        if record[14] == "answered":
            self.answered += 1
        else:
            self.failed += 1
        if not self._records:
            self._oldest_record = monotonic()
        self._records.append(record)
        if len(self._records) >= FLUSH_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._records:
            records, self._records = self._records, []
            self._flush_to(records)

    def _end_if_done(self) -> None:
        if self._closed and not self._by_hash:
            self._ended.set()

    # housekeeping

    async def _tick(self) -> None:
        due = self._plan.requests.flush_s * FLUSH_SHARE
        pause = min(TICK_S, due / 2)
        try:
            while True:
                await asyncio.sleep(pause)
                now = monotonic()
                if self._records and now - self._oldest_record >= due - pause / 2:
                    self._flush()
                self._sync_purse(now)
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
        waiting = [*self._ready, *(row for _, _, row in self._later)]
        self._ready.clear()
        self._later.clear()
        for row in waiting:
            last = row.last or Outcome(Kind.TRANSIENT, reason)
            self._end(row, failed(row, self._fingerprint, None, last, None))

    def _hedge(self, now: float) -> None:
        """At the end of a run stragglers get a second call; the first answer counts."""
        if not self._plan.hedge or not self._closed or self._ready or self._later:
            return
        budget = HEDGED_SHARE * sum(endpoint.calls for endpoint in self.endpoints) - self.hedged
        for flight in list(self._flying):
            if budget < 1:
                return
            row = flight.row
            if len(row.flights) != 1 or now - flight.began < flight.endpoint.timeout.straggling:
                continue
            free = [endpoint for endpoint in self.endpoints if not endpoint.breaker.fault and endpoint.wait(now) <= 0]
            if not free or not self._may_spend():
                return
            elsewhere = [endpoint for endpoint in free if endpoint is not flight.endpoint]
            self.hedged += 1
            budget -= 1
            self._send(row, min(elsewhere or free, key=lambda endpoint: endpoint.latency), now, hedge=True)

    def figures(self) -> Figures:
        """The numbers so far, without what the caller knows (total, journal, rate); may be read from any thread."""
        each = tuple(endpoint.figures() for endpoint in self.endpoints)
        return Figures(
            done=self.answered + self.failed,
            answered=self.answered,
            failed=self.failed,
            calls=sum(one.calls for one in each),
            refused=sum(one.refused for one in each),
            retried=self.retried,
            hedged=self.hedged,
            in_flight=sum(one.in_flight for one in each),
            input_tokens=sum(one.input_tokens for one in each),
            cached_tokens=sum(one.cached_tokens for one in each),
            output_tokens=sum(one.output_tokens for one in each),
            cost_usd=sum(one.cost_usd for one in each),
            endpoints=each,
        )

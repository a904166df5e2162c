"""One endpoint while a run lasts: its budgets, its concurrency, its health, its counts.

Belongs here: what a call's begin and end mean for the endpoint. What they mean for the row belongs in `engine`.
"""

from __future__ import annotations

from math import inf

from semtel_dagster.requests.caller import Caller
from semtel_dagster.requests.concurrency import AdaptiveConcurrency
from semtel_dagster.requests.figures import EndpointFigures
from semtel_dagster.requests.health import AdaptiveTimeout, Breaker
from semtel_dagster.requests.limiter import Limiter
from semtel_dagster.requests.local import BATCH_ROWS
from semtel_dagster.requests.outcome import Kind, Outcome
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.requests.row import Flight, Row
from semtel_dagster.settings import EndpointSettings

FIRST_IN_FLIGHT = 16
UNKNOWN_LATENCY_S = 1.0
HELD_S = 4.0  # of a known quota: so many seconds' worth may be under way at the start, since the quota paces them
OVERLOADED_SHARE = 0.3
NOTHING = (0.0, 0.0)


class Endpoint:
    """An endpoint's state and counts.

    Attributes:
        name: The name in the settings.
        model: The model's name, as it is recorded.
        local: Whether the model is in this process: a second call for a row would only make both slower.
        caller: Sends calls.
        limiter: Request and token budgets.
        concurrency: Calls in flight.
        breaker: Whether it is in.
        timeout: How long a call may take.
    """

    def __init__(
        self, settings: EndpointSettings, caller: Caller, plan: RequestPlan, static_tokens: int, output_tokens: int
    ) -> None:
        """Starts from the settings.

        Args:
            settings: The endpoint's settings.
            caller: Sends the calls.
            plan: The run's plan.
            static_tokens: The prompt's tokens without the transcript.
            output_tokens: The longest answer that may come; the usual length is learned.
        """
        self.name = settings.name
        self.model = caller.model
        self.local = settings.kind == "embedded"
        self.caller = caller
        self.limiter = Limiter(settings.requests_per_minute, settings.tokens_per_minute, plan.parallel_tasks)
        self.concurrency = _concurrency(settings, plan)
        self.breaker = Breaker()
        self.timeout = AdaptiveTimeout(plan.requests.timeout_s)
        self.calls = self.answered = self.refused = self.failed = 0
        self.input_tokens = self.cached_tokens = self.output_tokens = 0
        self._price = settings.price
        self._static_tokens = static_tokens
        self._expected_output = float(output_tokens)
        self._overload = 0.0

    def wait(self, now: float) -> float:
        """Seconds until a call may go; infinite while that hangs on another call's end."""
        breaker = self.breaker
        if breaker.fault:
            held = breaker.wait(now)
            if held > 0:
                return held
        held = self.limiter.wait(now)
        if held > 0:
            return held
        return 0.0 if self.concurrency.has_room(now) else inf

    @property
    def latency(self) -> float:
        """The usual seconds of a call; a guess while unknown."""
        return self.concurrency.latency or UNKNOWN_LATENCY_S

    def begin(self, row: Row, now: float) -> Flight:
        """Takes budget and a slot for a call."""
        reserved = self._static_tokens + row.n_tokens + self._expected_output
        self.limiter.reserve(now, reserved)
        flight = Flight(row, self, now, reserved)
        flight.load = self.concurrency.begin(now)
        if self.breaker.fault:
            flight.probe = self.breaker.begin()
        self.calls += 1
        return flight

    def cancel(self, flight: Flight, now: float) -> None:
        """A call was given up: another one had the answer."""
        self.concurrency.end(now, flight.began, flight.load, None)
        self.breaker.release(probe=flight.probe)
        self.limiter.release(flight.began)

    def end(self, flight: Flight, outcome: Outcome, now: float) -> None:
        """Learns from a call's end."""
        kind = outcome.kind
        if outcome.announced != NOTHING:
            self.limiter.announce(outcome.announced, now)
        if kind is Kind.ANSWERED:
            self._answer(flight, outcome, now)
            return
        self.concurrency.end(now, flight.began, flight.load, None)
        if kind is Kind.REFUSED:
            self._refuse(flight, outcome, now)
        elif kind in {Kind.ROW_FAULT, Kind.UNSUPPORTED, Kind.EMPTY}:
            self.failed += 1
            self._count_tokens(outcome)
            self.breaker.succeed()
            self.limiter.settle(flight.reserved, float(outcome.input_tokens + outcome.output_tokens), flight.began)
        else:
            self._fail(flight, outcome, now)

    def _answer(self, flight: Flight, outcome: Outcome, now: float) -> None:
        self.answered += 1
        self._count_tokens(outcome)
        self._expected_output += 0.02 * (outcome.output_tokens - self._expected_output)
        self._overload *= 0.9
        if self.breaker.fault:
            self.concurrency.restore()
        self.breaker.succeed()
        self.limiter.settle(flight.reserved, float(outcome.input_tokens + outcome.output_tokens), flight.began)
        self.timeout.answered(now - flight.began)
        self.concurrency.end(now, flight.began, flight.load, outcome.output_tokens)

    def _refuse(self, flight: Flight, outcome: Outcome, now: float) -> None:
        self.refused += 1
        self.breaker.succeed()
        self.limiter.refuse(
            now,
            flight.began,
            flight.reserved,
            outcome.retry_after,
            outcome.dimension,
            exhausted=outcome.exhausted,
        )
        if outcome.dimension == "load":
            self._take_overload(flight, now)

    def _fail(self, flight: Flight, outcome: Outcome, now: float) -> None:
        self.failed += 1
        self.limiter.release(flight.began)
        if outcome.code == "timeout":
            self.timeout.timed_out()
        if outcome.kind is Kind.OVERLOADED:
            self._take_overload(flight, now)
        if flight.probe or not flight.row.suspect:
            self.breaker.fail(now, outcome.reason, probe=flight.probe, unusable=outcome.kind is Kind.UNUSABLE)

    def _take_overload(self, flight: Flight, now: float) -> None:
        """Single failures happen at any load; only many of them say that too much is in flight."""
        self._overload += 0.1 * (1 - self._overload)
        if self._overload > OVERLOADED_SHARE:
            self.concurrency.shrink(now, flight.began)

    def _count_tokens(self, outcome: Outcome) -> None:
        self.input_tokens += outcome.input_tokens
        self.cached_tokens += outcome.cached_tokens
        self.output_tokens += outcome.output_tokens

    @property
    def cost_usd(self) -> float:
        """What the calls cost by the endpoint's price, in USD."""
        price = self._price
        cached = price.input if price.cached_input is None else price.cached_input
        fresh = self.input_tokens - self.cached_tokens
        return (fresh * price.input + self.cached_tokens * cached + self.output_tokens * price.output) / 1e6

    def figures(self) -> EndpointFigures:
        """The counts so far."""
        rate = self.limiter.requests.rate
        return EndpointFigures(
            name=self.name,
            model=self.model,
            calls=self.calls,
            answered=self.answered,
            refused=self.refused,
            failed=self.failed,
            in_flight=self.concurrency.in_flight,
            limit=int(self.concurrency.limit),
            rate_limit=None if rate == inf else rate,
            latency_s=self.concurrency.latency,
            input_tokens=self.input_tokens,
            cached_tokens=self.cached_tokens,
            output_tokens=self.output_tokens,
            cost_usd=self.cost_usd,
            fault=self.breaker.fault,
        )


def _concurrency(settings: EndpointSettings, plan: RequestPlan) -> AdaptiveConcurrency:
    if settings.kind == "embedded":
        return AdaptiveConcurrency(2 * BATCH_ROWS, 2 * BATCH_ROWS, adaptive=False)
    maximum = min(settings.max_in_flight or plan.max_in_flight, plan.max_in_flight)
    start = plan.start_in_flight
    if start is None:
        known = (settings.requests_per_minute or 0) / 60 * HELD_S
        start = max(4, int(min(max(FIRST_IN_FLIGHT, known), 512) / plan.parallel_tasks))
    return AdaptiveConcurrency(start, maximum, plan.parallel_tasks)

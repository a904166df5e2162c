"""What a call that brought no answer means for its row: it ends, waits, or goes again.

Belongs here: counting against the row and putting it back in line. What the call means for the endpoint belongs in
`endpoint`.
"""

from __future__ import annotations

from collections.abc import Sequence

from semtel_dagster.requests.endpoint import Endpoint
from semtel_dagster.requests.outcome import Kind, Outcome
from semtel_dagster.requests.row import Flight, Row
from semtel_dagster.requests.waiting import Waiting

LONGEST_ROW_WAIT_S = 4.0
MOST_ROW_FAULTS = 2
OUTAGE_S = 10.0
ALIVE = frozenset({200, 500})


class Retry:
    """Puts rows back in line; a row with another call under way is left to that one."""

    def __init__(self, waiting: Waiting, endpoints: Sequence[Endpoint], max_attempts: int) -> None:
        """Works on the engine's line and endpoints."""
        self._waiting = waiting
        self._endpoints = endpoints
        self._max_attempts = max_attempts

    def ends(self, flight: Flight, outcome: Outcome, now: float) -> bool:
        """Takes a call's outcome in that is no answer.

        Returns:
            Whether the row ends by it; otherwise it is in line again, or another call for it is under way.
        """
        row, kind = flight.row, outcome.kind
        if kind is Kind.REFUSED:
            self._take_refusal(flight, outcome, now)
            return False
        if kind in {Kind.ROW_FAULT, Kind.EMPTY}:
            return self._take_row_fault(flight, outcome)
        if kind in {Kind.UNSUPPORTED, Kind.UNUSABLE}:
            row.last, row.avoid = outcome, flight.endpoint if kind is Kind.UNUSABLE else None
            self._again(row)
            return False
        return self._take_failure(flight, outcome, now)

    def _again(self, row: Row) -> None:
        if not row.flights:
            self._waiting.again(row)

    def _take_refusal(self, flight: Flight, outcome: Outcome, now: float) -> None:
        """Where the endpoint pauses, that holds the row back; else only the row waits as long as it was told to."""
        row = flight.row
        row.refusals += 1
        if flight.endpoint.limiter.not_before > now:
            self._again(row)
        elif len(self._endpoints) > 1:
            row.avoid = flight.endpoint
            self._again(row)
        elif row.flights:
            return
        elif outcome.retry_after is None:
            self._waiting.back_off(row, now)
        else:
            self._waiting.after(row, now + min(outcome.retry_after, LONGEST_ROW_WAIT_S))

    def _take_row_fault(self, flight: Flight, outcome: Outcome) -> bool:
        """Another endpoint may see it otherwise; where there is none, asking again would bring the same.

        An empty answer may be a slip, so the same endpoint is asked once more too.
        """
        row = flight.row
        row.faults += 1
        row.last, row.avoid = outcome, flight.endpoint
        elsewhere = any(other is not flight.endpoint and not other.breaker.fault for other in self._endpoints)
        again = elsewhere or outcome.kind is Kind.EMPTY
        if row.faults >= MOST_ROW_FAULTS or not again:
            return True
        self._again(row)
        return False

    def _take_failure(self, flight: Flight, outcome: Outcome, now: float) -> bool:
        """A failure of endpoint or network."""
        row = flight.row
        row.last, row.avoid = outcome, flight.endpoint
        if _counts(flight, outcome, now):
            row.tries += 1
        if row.flights:
            return False
        if row.tries >= self._max_attempts:
            return True
        self._waiting.back_off(row, now)
        return False


def _counts(flight: Flight, outcome: Outcome, now: float) -> bool:
    """Whether a failure counts against its row.

    A probe of an endpoint that is out is the endpoint's failure, unless the row failed before while others were
    answered, or the server itself has been replying with errors for so long that the rows left may be to blame.
    """
    if not flight.probe or flight.row.suspect:
        return True
    return outcome.status in ALIVE and flight.endpoint.breaker.out_for(now) > OUTAGE_S

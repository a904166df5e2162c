"""Second calls for the stragglers at the end of a run.

Belongs here: which calls get one, and where. Sending it belongs in `engine`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from semtel_dagster.requests.endpoint import Endpoint
from semtel_dagster.requests.row import Flight

HEDGED_SHARE = 0.02


def find_straggler(
    flying: Iterable[Flight], endpoints: Sequence[Endpoint], now: float
) -> tuple[Flight, Endpoint] | None:
    """A call that takes longer than about 99 % of its kind, and the fastest free endpoint, another one if possible."""
    free = [endpoint for endpoint in endpoints if not endpoint.breaker.fault and endpoint.wait(now) <= 0]
    if not free:
        return None
    for flight in flying:
        if len(flight.row.flights) == 1 and now - flight.began >= flight.endpoint.timeout.straggling:
            elsewhere = [endpoint for endpoint in free if endpoint is not flight.endpoint]
            return flight, min(elsewhere or free, key=lambda endpoint: endpoint.latency)
    return None


def may_hedge(endpoints: Sequence[Endpoint], hedged: int) -> bool:
    """Whether one more second call stays within two percent of all calls."""
    return HEDGED_SHARE * sum(endpoint.calls for endpoint in endpoints) - hedged >= 1

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
    """A call that takes longer than about 99 % of its kind, and the fastest free endpoint, another one if possible.

    A model in this process is never asked twice: its calls are not lost or slow by chance.
    """
    free = [each for each in endpoints if not each.local and not each.breaker.fault and each.wait(now) <= 0]
    if not free:
        return None
    for flight in flying:
        if flight.endpoint.local or len(flight.row.flights) != 1:
            continue
        if now - flight.began >= flight.endpoint.timeout.straggling:
            elsewhere = [endpoint for endpoint in free if endpoint is not flight.endpoint]
            return flight, min(elsewhere or free, key=lambda endpoint: endpoint.latency)
    return None


def may_hedge(endpoints: Sequence[Endpoint], hedged: int) -> bool:
    """Whether one more second call stays within two percent of all calls."""
    return HEDGED_SHARE * sum(endpoint.calls for endpoint in endpoints) - hedged >= 1

"""Which endpoint gets the next call.

Belongs here: the choice. Whether an endpoint can take a call belongs in `endpoint`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from semtel_dagster.requests.endpoint import Endpoint
from semtel_dagster.requests.row import Row


def pick(endpoints: Sequence[Endpoint], now: float, waiting: int, row: Row) -> tuple[Endpoint | None, float]:
    """The endpoint expected to answer soonest among those that can take a call now.

    With a long queue every endpoint is worth using; near its end a slow one is not, when a faster one would free up
    and answer earlier. So an endpoint is taken only if it is expected to answer before the best one would have
    worked off the queue. An endpoint where the row just failed is left to others while there is another.

    Args:
        endpoints: All of them.
        now: The clock, in seconds.
        waiting: Rows that wait for a call.
        row: The row to send.

    Returns:
        The endpoint, or None and the seconds until asking again makes sense (infinite: after some call's end).
    """
    if len(endpoints) == 1:
        wait = endpoints[0].wait(now)
        return (endpoints[0], 0.0) if wait <= 0 else (None, wait)
    best: Endpoint | None = None
    best_latency = soonest = inf
    fastest = inf
    pace = 0.0
    others = any(endpoint is not row.avoid and not endpoint.breaker.fault for endpoint in endpoints)
    for endpoint in endpoints:
        if endpoint is row.avoid and others:
            continue
        wait = endpoint.wait(now)
        latency = endpoint.latency
        if not endpoint.breaker.fault:
            fastest = min(fastest, latency + (wait if wait < inf else latency / 2))
            pace += max(endpoint.concurrency.in_flight, 1) / latency
        if wait > 0:
            soonest = min(soonest, wait)
        elif latency < best_latency:
            best, best_latency = endpoint, latency
    if best is not None and best_latency > fastest + waiting / max(pace, 1e-9) and not best.breaker.fault:
        return None, min(soonest, fastest)
    return best, 0.0 if best is not None else soonest

"""A client and a server on a virtual clock: minutes of limits and load in a second of test.

The client asks `Limiter` and `AdaptiveConcurrency` as the engine does; the server has a quota and a latency.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import exp, inf
from random import Random

from semtel_dagster.requests.concurrency import AdaptiveConcurrency
from semtel_dagster.requests.limiter import Limiter


@dataclass
class Quota:
    """A limit of `per_second(now)` calls, enforced as a bucket of `window` seconds' worth, or in fixed windows."""

    per_second: Callable[[float], float]
    window: float = 1.0
    fixed: bool = False
    level: float = -1.0
    at: float = 0.0

    def take(self, now: float, units: float = 1.0) -> float:
        """0 when accepted, else seconds until it would be."""
        rate = self.per_second(now)
        depth = max(rate * self.window, units)
        if self.level < 0:
            self.level = depth
        if self.fixed:
            if now // self.window != self.at // self.window:
                self.level = depth
        else:
            self.level = min(depth, self.level + (now - self.at) * rate)
        self.at = now
        if self.level >= units:
            self.level -= units
            return 0.0
        return self.window - now % self.window if self.fixed else (units - self.level) / rate


@dataclass
class Server:
    """Answers after a log-normal time, longer beyond `knee` calls at once."""

    quota: Quota | None = None
    median: float = 0.5
    sigma: float = 0.4
    knee: float = inf
    overload: float = 1.5
    says: str = "exact"  # what a refusal says: exact | seconds | nothing
    by_chance: float = 0.0  # share of calls refused though the quota has room
    announces: Callable[[float], float] | None = None  # requests per minute, as the headers of replies tell
    in_flight: int = 0

    def latency(self, random: Random) -> float:
        """How long the next answer takes."""
        return self.median * exp(random.gauss(0, self.sigma)) * max(1.0, self.in_flight / self.knee) ** self.overload


@dataclass
class Client:
    """One process's controllers and counts."""

    limiter: Limiter
    concurrency: AdaptiveConcurrency
    sent: int = 0
    refused: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)

    def rate(self, since: float, until: float) -> float:
        """Answers per second."""
        return sum(since <= at < until for at in self.answered) / (until - since)

    def share_refused(self) -> float:
        """Refusals per call."""
        return len(self.refused) / max(self.sent, 1)


def simulate(
    server: Server,
    clients: list[Client],
    seconds: float,
    seed: int = 0,
    reaction: float = 0.005,
    starts: Sequence[float] = (),
) -> None:
    """Lets clients with endless rows work against a server.

    Args:
        server: The server.
        clients: Each is one process.
        seconds: Of virtual time.
        seed: Of the latencies.
        reaction: Seconds until a refusal is back.
        starts: When each client begins; unset: all at once.
    """
    random = Random(seed)
    events: list[tuple[float, int, int, str, tuple]] = []
    sequence = 0

    def push(at: float, who: int, what: str, *data: object) -> None:
        nonlocal sequence
        sequence += 1
        heapq.heappush(events, (at, sequence, who, what, data))

    timers = [inf] * len(clients)

    def pump(who: int, now: float) -> None:
        client = clients[who]
        while True:
            wait = client.limiter.wait(now)
            if wait > 0:
                if wait < inf and (timers[who] <= now or now + wait < timers[who]):
                    timers[who] = now + max(wait, 0.001)
                    push(timers[who], who, "timer")
                return
            if not client.concurrency.has_room(now):
                if not client.answered:
                    push(now + 0.1, who, "timer")
                return
            client.limiter.reserve(now, 100.0)
            integral = client.concurrency.begin(now)
            client.sent += 1
            asked = server.quota.take(now) if server.quota else 0.0
            asked = asked or (0.1 if random.random() < server.by_chance else 0.0)
            if asked:
                said = {"exact": asked, "seconds": float(int(asked) + 1), "nothing": None}[server.says]
                push(now + reaction, who, "refused", now, integral, said)
            else:
                server.in_flight += 1
                push(now + server.latency(random), who, "answered", now, integral)

    for who in range(len(clients)):
        push((starts[who] if starts else 0.0) + 0.001 * who, who, "timer")
    while events and events[0][0] < seconds:
        now, _, who, what, data = heapq.heappop(events)
        client = clients[who]
        if what != "timer" and server.announces:
            client.limiter.announce((server.announces(now), 0.0), now)
        if what == "timer":
            timers[who] = inf if timers[who] <= now else timers[who]
        elif what == "refused":
            sent_at, integral, said = data
            client.refused.append(now)
            client.concurrency.end(now, sent_at, integral, None)
            client.limiter.refuse(now, sent_at, 100.0, said, "")
        else:
            sent_at, integral = data
            server.in_flight -= 1
            client.answered.append(now)
            client.limiter.settle(100.0, 100.0, sent_at)
            client.concurrency.end(now, sent_at, integral, 5)
        pump(who, now)


def client(per_minute: float | None = None, start: float = 16, maximum: float = 2048, tasks: int = 1) -> Client:
    """A process with fresh controllers."""
    return Client(Limiter(per_minute, None, tasks, Random(3)), AdaptiveConcurrency(start, maximum, tasks))

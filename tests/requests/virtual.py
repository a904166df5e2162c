"""A client and a server on a virtual clock: minutes of limits and load in a second of test.

The client asks `Limiter` and `AdaptiveConcurrency` as the engine does; the server has a quota and a latency.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
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
    run = _Simulation(server, clients, reaction, Random(seed))
    for who in range(len(clients)):
        run.push((starts[who] if starts else 0.0) + 0.001 * who, who, "timer")
    while run.events and run.events[0][0] < seconds:
        run.step()


@dataclass
class _Simulation:
    """What happens next, in order of time; draws and events keep one order, so that a seed is one course of things."""

    server: Server
    clients: list[Client]
    reaction: float
    random: Random
    events: list[tuple[float, int, int, str, tuple]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = count(1)
        self._timers = [inf] * len(self.clients)

    def push(self, at: float, who: int, what: str, *data: object) -> None:
        """Something that will happen to a client: a timer, a refusal or an answer."""
        heapq.heappush(self.events, (at, next(self._numbers), who, what, data))

    def step(self) -> None:
        """The next event, and the calls that the client sends after it."""
        now, _, who, what, data = heapq.heappop(self.events)
        client = self.clients[who]
        if what != "timer" and self.server.announces:
            client.limiter.announce((self.server.announces(now), 0.0), now)
        if what == "timer":
            self._timers[who] = inf if self._timers[who] <= now else self._timers[who]
        elif what == "refused":
            self._refuse(client, now, *data)
        else:
            self._answer(client, now, *data)
        while self._may_send(who, now):
            self._send(who, now)

    def _may_send(self, who: int, now: float) -> bool:
        """Whether a client may send a call now; if not, it looks again later."""
        client = self.clients[who]
        wait = client.limiter.wait(now)
        if wait > 0:
            if wait < inf and (self._timers[who] <= now or now + wait < self._timers[who]):
                self._timers[who] = now + max(wait, 0.001)
                self.push(self._timers[who], who, "timer")
            return False
        if not client.concurrency.has_room(now):
            if not client.answered:
                self.push(now + 0.1, who, "timer")
            return False
        return True

    def _send(self, who: int, now: float) -> None:
        client, server = self.clients[who], self.server
        client.limiter.reserve(now, 100.0)
        integral = client.concurrency.begin(now)
        client.sent += 1
        asked = server.quota.take(now) if server.quota else 0.0
        asked = asked or (0.1 if self.random.random() < server.by_chance else 0.0)
        if asked:
            said = {"exact": asked, "seconds": float(int(asked) + 1), "nothing": None}[server.says]
            self.push(now + self.reaction, who, "refused", now, integral, said)
        else:
            server.in_flight += 1
            self.push(now + server.latency(self.random), who, "answered", now, integral)

    def _refuse(self, client: Client, now: float, sent_at: float, integral: float, said: float | None) -> None:
        client.refused.append(now)
        client.concurrency.end(now, sent_at, integral, None)
        client.limiter.refuse(now, sent_at, 100.0, said, "")

    def _answer(self, client: Client, now: float, sent_at: float, integral: float) -> None:
        self.server.in_flight -= 1
        client.answered.append(now)
        client.limiter.settle(100.0, 100.0, sent_at)
        client.concurrency.end(now, sent_at, integral, 5)


def client(per_minute: float | None = None, start: float = 16, maximum: float = 2048, tasks: int = 1) -> Client:
    """A process with fresh controllers."""
    return Client(Limiter(per_minute, None, tasks, Random(3)), AdaptiveConcurrency(start, maximum, tasks))

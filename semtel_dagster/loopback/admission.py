"""Who gets in: the phase in force, the quotas, and which fault strikes a call that is admitted.

One admission serves one kind of call (chat, embeddings), each with the script's quotas to itself, as providers keep
them per model. What happens to an admitted call belongs to its kind.
"""

from __future__ import annotations

import asyncio

from semtel_dagster.loopback import replies
from semtel_dagster.loopback.arrival import UnfitError
from semtel_dagster.loopback.exchange import Exchange
from semtel_dagster.loopback.faults import FaultDraw
from semtel_dagster.loopback.limits import Gate, Refusal
from semtel_dagster.loopback.mishaps import Mishaps
from semtel_dagster.loopback.schedule import Clock, Schedule
from semtel_dagster.loopback.script import Phase, Script
from semtel_dagster.loopback.stats import Stats


class Admission:
    """Admits calls by one script, or ends them; its kind of call works with the same means."""

    def __init__(
        self, script: Script, stats: Stats, mishaps: Mishaps, clock: Clock, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.script = script
        self.stats = stats
        self.mishaps = mishaps
        self.clock = clock
        self.loop = loop
        self._gate = Gate(script.limits, loop.time())
        self._schedule = Schedule(script.phases)
        self._usual = FaultDraw(script.faults, script.seed)
        self._unusual = {
            phase.at_s: FaultDraw(phase.faults, script.seed) for phase in script.phases if phase.faults is not None
        }

    def check_model(self, exchange: Exchange, model: str) -> None:
        """Whether the script's server has a model.

        Raises:
            UnfitError: It has not.
        """
        if self.script.models is not None and model not in self.script.models:
            raise UnfitError(404, replies.no_model(azure=exchange.azure))

    def admit(self, exchange: Exchange, key: bytes, nth: int, judged_tokens: int) -> Phase | None:
        """Lets a call into service, with its fault and headers set.

        Args:
            exchange: The call.
            key: What its faults are drawn by.
            nth: Which call of that key it is.
            judged_tokens: Tokens that quotas judge at arrival.

        Returns:
            The phase in force; None if the call has been ended (or left hanging).
        """
        phase = self._schedule.at(self.clock.seconds())
        if phase.down is not None:
            self._down(exchange, phase)
            return None
        refusal = self._gate.admit(self.loop.time(), judged_tokens, self.stats.in_flight, phase.capacity)
        if refusal is not None:
            self._refuse(exchange, refusal)
            return None
        draw = self._unusual.get(phase.at_s, self._usual)
        exchange.fault = draw.draw(key, nth)
        exchange.trickle_s = draw.faults.trickle_s
        exchange.headers = self._gate.headers()
        if exchange.fault == "hang":
            self.count_fault("hang", exchange)
            self.mishaps.hang(exchange.connection, draw.faults.hang_s)
            return None
        if exchange.fault == "refused_429":
            self.count_fault("refused_429", exchange)
            self._refuse(exchange, Refusal("capacity", 1.0))
            return None
        return phase

    def settle(self, judged_tokens: int, used_tokens: int) -> None:
        """Corrects the token quota, where the script says so."""
        self._gate.settle(judged_tokens, used_tokens)

    def count(self, name: str, exchange: Exchange) -> None:
        """Counts an event of a call, by its kind."""
        if exchange.embedding:
            self.stats.totals[f"embedding_{name}"] += 1
        else:
            self.stats.count(name, exchange.client, self.clock.seconds())

    def count_fault(self, name: str, exchange: Exchange) -> None:
        """Counts a fault that struck."""
        self.stats.faults[name] += 1
        self.count("faults", exchange)

    def _refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        self.count("refused", exchange)
        self.stats.refused_by[refusal.by] += 1
        hint = self.script.limits.retry_after != "neither"
        body = replies.rate_refusal(refusal.by, refusal.wait_s, hint, azure=exchange.azure)
        headers = self._gate.retry_headers(refusal.wait_s) + self._gate.headers()
        self.mishaps.error(exchange.connection, 429, body, headers)

    def _down(self, exchange: Exchange, phase: Phase) -> None:
        self.count_fault("down", exchange)
        if phase.down == "reset":
            exchange.connection.reset()
        elif phase.down == "hang":
            self.mishaps.hang(exchange.connection, self.script.faults.hang_s)
        else:
            self.mishaps.unavailable(exchange.connection, azure=exchange.azure)

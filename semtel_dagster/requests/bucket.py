"""A token bucket: what may go at a rate that is given.

Belongs here: the bucket's level, and what a pause leaves in it. Which rate that is belongs in `rate`.
"""

from __future__ import annotations

from math import inf

BURST_S = 0.1
FIRST_TRUST, MORE_TRUST, LESS_TRUST = 0.5, 0.1, 0.5
SOON_S = 1.0


class TokenBucket:
    """Holds a tenth of a second's worth, and may fall below zero.

    What the endpoint refilled during a pause may be sent afterwards, at twice the rate until it has gone, as far as
    that went well before: a bucket at the other end allows it, a window of one second does not.
    """

    __slots__ = ("_credit", "_owed", "_resumed_at", "_trust", "at", "level")

    def __init__(self) -> None:
        """One call may go at once, the next when it is paid for."""
        self.level = 1e-9
        self.at = 0.0
        self._credit = self._owed = 0.0
        self._resumed_at = -inf
        self._trust = FIRST_TRUST

    def wait(self, rate: float) -> float:
        """Seconds until the next unit may go; 0 when it may go now."""
        return 0.0 if self.level > 0 else -self.level / (2 * rate if self._owed else rate) + 1e-4

    def refill(self, now: float, rate: float) -> bool:
        """Lets it fill until now; whether it was not full, so that the rate may have held calls back."""
        passed, depth = now - self.at, rate * BURST_S
        if passed <= 0:
            return False
        self.at = now
        if self.level >= depth:
            return False
        extra = min(self._owed, passed * rate)
        self._owed -= extra
        self.level = min(self.level + passed * rate + extra, depth)
        return True

    def resume(self, now: float, unit: float, paused: float, rate: float) -> float:
        """Ends a pause, which may have left no more than one call's worth at the other end.

        Args:
            now: The clock, in seconds.
            unit: The usual size of a call.
            paused: Seconds that the other end may have refilled; 0 where it forgets what is not used.
            rate: In units per second.

        Returns:
            Seconds of the pause that are made up for.
        """
        made_up = paused * self._trust
        self.owe(now, unit)
        self._resumed_at = now
        self._credit = self._owed = rate * made_up
        if made_up:
            self._trust = min(1.0, self._trust + MORE_TRUST)
        return made_up

    def refuse(self, now: float, units: float, rate: float) -> None:
        """An event began; if soon after a pause, what was sent to make up for it was too much."""
        if self._credit > units and now - self._resumed_at < SOON_S + 3 * self._credit / rate:
            self._trust *= LESS_TRUST

    def owe(self, now: float, units: float) -> None:
        """The next unit may go when so many are paid for from now on."""
        self.at, self.level = now, -units

    def forget_pause(self) -> None:
        """Nothing is made up for any more."""
        self._credit = self._owed = 0.0

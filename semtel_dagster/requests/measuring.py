"""What an endpoint accepted between two moments when its quota was used up: that quota, whatever its window.

Belongs here: the measurement. What it means for the rate belongs in `rate`.
"""

from __future__ import annotations

from math import log

LONG_S = 2.0
LEAST_S = 0.1
ENOUGH_S = 0.25
MEMORY = 0.3
CLEARLY = 0.01


class QuotaMeasure:
    """Accepted units over the time in which they are the whole quota.

    A bucket is empty at both events, so the time between the events counts. A window is used up at both, so the time
    between the ends of both pauses counts. Which it is shows by itself: the right one gives the same rate again and
    again, the other one moves with the lengths of the pauses.
    """

    __slots__ = ("_by_events", "_by_pauses", "_last", "_since", "accepted")

    def __init__(self) -> None:
        """Knows of no event."""
        self.accepted = 0.0
        self._since: tuple[float, float] | None = None
        self._last: tuple[float, float] | None = None
        self._by_events = self._by_pauses = 0.0

    def begin(self, event_at: float, now: float) -> None:
        """An event began, its pause ends now: the next measurement starts here."""
        self._since = (event_at, now)
        self.accepted = 0.0

    @property
    def begun(self) -> bool:
        """Whether there was an event to measure from."""
        return self._since is not None

    def forget(self) -> None:
        """The quota changed: the next event is the first one."""
        self._since = None

    @property
    def by_windows(self) -> bool:
        """Whether the quota looks like one of windows that begin anew, and not like a bucket."""
        return self._by_pauses < self._by_events

    def seconds(self, event_at: float, now: float, unused: float) -> float:
        """Seconds since the last measurement began over which what was accepted is the whole quota; 0 if none did.

        Args:
            event_at: When this event began.
            now: When its pause ends.
            unused: Seconds of pauses in between that were not made up for; what they let expire does not count.
        """
        if self._since is None:
            return 0.0
        between_events, between_pauses = event_at - self._since[0], now - self._since[1]
        self._compare(max(between_events, LEAST_S), max(between_pauses, LEAST_S))
        if self.by_windows:
            return max(between_pauses, LEAST_S)
        if between_events >= LONG_S or now - event_at >= LONG_S:
            bucket = self._by_events < self._by_pauses - CLEARLY
            between_events = (between_events if bucket else min(between_events, between_pauses)) - unused
        return max(between_events, LEAST_S)

    def _compare(self, between_events: float, between_pauses: float) -> None:
        """Learns which of the two rates changes less from one measurement to the next."""
        if self.accepted <= 0 or between_events < ENOUGH_S:
            return
        rates = log(self.accepted / between_events), log(self.accepted / between_pauses)
        if self._last is not None:
            changes = [abs(rate - last) for rate, last in zip(rates, self._last, strict=True)]
            common = min(changes)  # the quota itself may have changed
            self._by_events += MEMORY * (min(changes[0] - common, 1.0) - self._by_events)
            self._by_pauses += MEMORY * (min(changes[1] - common, 1.0) - self._by_pauses)
        self._last = rates

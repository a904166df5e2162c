"""Request and token quotas: who is admitted, how long a refused caller should wait, what headers say.

Counting calls belongs in `stats`; turning a refusal into a reply in `replies`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from semtel_dagster.loopback.script import Limits


class Quota(Protocol):
    """An amount that is used up by calls and comes back with time."""

    per_minute: float

    def wait(self, now: float, amount: float) -> float:
        """Seconds until `amount` would be granted; 0 if it would be granted now."""
        ...

    def take(self, amount: float) -> None:
        """Uses up `amount` (negative: gives back) at the time of the last `wait`."""
        ...

    def level(self) -> float:
        """What is left, at the time of the last `wait`."""
        ...

    def full_in(self) -> float:
        """Seconds until all of it is back."""
        ...

    def scale(self, now: float, capacity: float) -> None:
        """Multiplies the configured quota; what is left is at most the new size."""
        ...


class Bucket:
    """A token bucket: refills steadily, holds at most `size`."""

    def __init__(self, per_minute: float, size: float, now: float) -> None:
        self.per_minute = per_minute
        self._configured = (per_minute, size)
        self._rate = per_minute / 60.0
        self._size = size
        self._level = size
        self._at = now

    def wait(self, now: float, amount: float) -> float:
        """Seconds until `amount` (at most the whole bucket) is there."""
        self._level = min(self._size, self._level + (now - self._at) * self._rate)
        self._at = now
        lack = min(amount, self._size) - self._level
        return lack / self._rate if lack > 1e-9 else 0.0

    def take(self, amount: float) -> None:
        """Lowers the level, below nothing if need be."""
        self._level = min(self._size, self._level - amount)

    def level(self) -> float:
        """What is left."""
        return max(0.0, self._level)

    def full_in(self) -> float:
        """Seconds until the bucket is full."""
        return (self._size - self._level) / self._rate

    def scale(self, now: float, capacity: float) -> None:
        """Changes rate and size from now on."""
        self.wait(now, 0.0)
        per_minute, size = self._configured
        self.per_minute = per_minute * capacity
        self._rate = self.per_minute / 60.0
        self._size = max(1.0, size * capacity)
        self._level = min(self._level, self._size)


class FixedWindow:
    """A window's worth, granted anew when each window begins."""

    def __init__(self, per_minute: float, window_s: float, now: float) -> None:
        self.per_minute = per_minute
        self._configured = per_minute
        self._window = window_s
        self._start = now
        self._now = now
        self._used = 0.0

    def _size(self) -> float:
        return max(1.0, self.per_minute * self._window / 60.0)

    def wait(self, now: float, amount: float) -> float:
        """Seconds until the window ends, if it has no room."""
        self._now = now
        passed = math.floor((now - self._start) / self._window)
        if passed > 0:
            self._start += passed * self._window
            self._used = 0.0
        fits = self._used + min(amount, self._size()) <= self._size() + 1e-9
        return 0.0 if fits else self._start + self._window - now

    def take(self, amount: float) -> None:
        """Uses up some of the window."""
        self._used = max(0.0, self._used + amount)

    def level(self) -> float:
        """What the window has left."""
        return max(0.0, self._size() - self._used)

    def full_in(self) -> float:
        """Seconds until the window ends."""
        return max(0.0, self._start + self._window - self._now)

    def scale(self, now: float, capacity: float) -> None:
        """Changes the size of this and later windows."""
        self.wait(now, 0.0)
        self.per_minute = self._configured * capacity


@dataclass(frozen=True)
class Refusal:
    """Why a call was refused by rate, and when another try would be granted."""

    by: str  # requests | tokens | in_flight | capacity
    wait_s: float


class Gate:
    """Admits or refuses calls by a script's limits."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._capacity = 1.0
        self._requests = self._quota(limits.requests_per_minute, limits.burst_requests, now)
        self._tokens = self._quota(limits.tokens_per_minute, limits.burst_tokens, now)
        self._open = self._requests is None and self._tokens is None and limits.max_in_flight is None

    def _quota(self, per_minute: float | None, burst: float | None, now: float) -> Quota | None:
        if per_minute is None:
            return None
        if self._limits.enforcement == "fixed_window":
            return FixedWindow(per_minute, self._limits.window_s, now)
        return Bucket(per_minute, burst or max(1.0, per_minute * self._limits.window_s / 60.0), now)

    def admit(self, now: float, tokens: float, in_flight: int, capacity: float = 1.0) -> Refusal | None:
        """Charges a call of so many tokens, or says why not.

        Args:
            now: Monotonic seconds.
            tokens: Prompt and `max_tokens`, as they are judged at arrival.
            in_flight: Calls in service without this one.
            capacity: The phase's factor on every limit.
        """
        if self._open:
            return None
        if capacity != self._capacity:
            self._capacity = capacity
            for quota in (self._requests, self._tokens):
                if quota is not None:
                    quota.scale(now, capacity)
        refusal = self._refusal(now, tokens, in_flight)
        if refusal is None or self._limits.refusals_count:
            if self._requests is not None:
                self._requests.take(1.0)
            if self._tokens is not None and refusal is None:
                self._tokens.take(tokens)
        return refusal

    def _refusal(self, now: float, tokens: float, in_flight: int) -> Refusal | None:
        most = self._limits.max_in_flight
        if most is not None and in_flight >= max(1, int(most * self._capacity)):
            return Refusal("in_flight", 1.0)
        by_requests = self._requests.wait(now, 1.0) if self._requests is not None else 0.0
        by_tokens = self._tokens.wait(now, tokens) if self._tokens is not None else 0.0
        if not by_requests and not by_tokens:
            return None
        return Refusal("requests" if by_requests >= by_tokens else "tokens", max(by_requests, by_tokens))

    def settle(self, judged: float, used: float) -> None:
        """Corrects the token quota by what an answer really used, where the script says so."""
        if self._tokens is not None and self._limits.tokens_judged == "usage":
            self._tokens.take(used - judged)

    def headers(self) -> bytes:
        """The `x-ratelimit-*` lines of a reply, by the script's style; empty without limits."""
        if self._limits.headers == "none":
            return b""
        lines = [
            self._lines(name, quota)
            for name, quota in (("requests", self._requests), ("tokens", self._tokens))
            if quota is not None
        ]
        return "".join(lines).encode()

    def _lines(self, name: str, quota: Quota) -> str:
        limit, left, full_in = quota.per_minute, quota.level(), quota.full_in()
        if self._limits.headers == "ten_second":
            limit, left, full_in = limit / 6.0, min(left, limit / 6.0), min(full_in, 10.0)
        elif self._limits.headers == "lying":
            limit = left = limit * self._limits.lie
            full_in = 0.0
        return (
            f"x-ratelimit-limit-{name}: {int(limit)}\r\n"
            f"x-ratelimit-remaining-{name}: {int(left)}\r\n"
            f"x-ratelimit-reset-{name}: {duration(full_in)}\r\n"
        )

    def retry_headers(self, wait_s: float) -> bytes:
        """The `retry-after` lines of a refusal: whole seconds rounded up, or milliseconds, or nothing."""
        style = self._limits.retry_after
        lines = b""
        if style in {"seconds", "both"}:
            lines += b"retry-after: %d\r\n" % max(1, math.ceil(wait_s))
        if style in {"ms", "both"}:
            lines += b"retry-after-ms: %d\r\n" % max(1, math.ceil(wait_s * 1000))
        return lines


def duration(seconds: float) -> str:
    """Seconds as OpenAI's reset headers write them: 20ms, 1.5s, 6m0s."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    if seconds < 60:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}m{rest}s"

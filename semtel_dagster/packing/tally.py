"""The figures of a run that asks in several rounds: the sum of the rounds, with conversations as rows.

Belongs here: adding up. A round's own figures are the request engine's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from semtel_dagster.requests.figures import EndpointFigures, Figures

_ADDED = ("calls", "refused", "retried", "hedged", "input_tokens", "cached_tokens", "output_tokens", "cost_usd")
_OF_ENDPOINT = ("calls", "answered", "refused", "failed", "input_tokens", "cached_tokens", "output_tokens", "cost_usd")


class Tally:
    """Counts over rounds.

    Attributes:
        answered: Conversations answered, from the journal included.
        failed: Conversations that ended with a reason.
        from_journal: Conversations that made no call.
        kept_apart: Conversations that what they say keeps out of others' packs.
        disbelieved: Conversations whose answer from a pack was not believed.
        waiting: Conversations that have an answer from a pack which is yet to be looked at.
    """

    def __init__(self, on_progress: Callable[[Figures], None] | None, total: int | None) -> None:
        """Starts the clock."""
        self.answered = self.failed = self.from_journal = self.kept_apart = self.disbelieved = self.waiting = 0
        self._on_progress, self._total = on_progress, total
        self._before, self._now = Figures(), Figures()
        self._began = monotonic()

    def see(self, figures: Figures) -> None:
        """Takes the figures of the round under way."""
        self._now = figures
        self.show()

    def end_round(self) -> None:
        """Adds the round under way to those before it."""
        self._before, self._now = self._together(), Figures()

    @property
    def in_flight(self) -> int | None:
        """Calls in flight that each endpoint allowed last; None before the first call."""
        limits = [endpoint.limit for endpoint in self._together().endpoints if endpoint.calls and not endpoint.fault]
        return min(limits) if limits else None

    def show(self) -> None:
        """Shows the figures to whoever watches."""
        if self._on_progress is not None:
            self._on_progress(self._together())

    def _together(self) -> Figures:
        done, seconds = self.answered + self.failed + self.waiting, monotonic() - self._began
        return replace(
            self._now,
            **{name: getattr(self._before, name) + getattr(self._now, name) for name in _ADDED},
            done=done,
            total=self._total,
            answered=self.answered,
            failed=self.failed,
            from_journal=self.from_journal,
            kept_apart=self.kept_apart,
            disbelieved=self.disbelieved,
            seconds=seconds,
            rate=done / seconds if seconds else 0.0,
            endpoints=_added(self._before.endpoints, self._now.endpoints),
        )


def _added(
    before: tuple[EndpointFigures, ...], now: tuple[EndpointFigures, ...]
) -> tuple[EndpointFigures, ...]:  # fmt: skip
    earlier = {each.name: each for each in before}
    newest = [
        replace(each, **{name: getattr(each, name) + getattr(earlier[each.name], name) for name in _OF_ENDPOINT})
        if each.name in earlier
        else each
        for each in now
    ]
    return tuple(newest) or before

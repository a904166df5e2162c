"""Live figures of a long step: into Dagster's event log, and to whoever watches (the command line).

Figures are numbers; no text of a conversation passes here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from semtel_dagster.requests.figures import Figures

Watcher = Callable[[str, Figures], None]
OBSERVE_EVERY_S = 30.0
OBSERVE_EVERY_SHARE = 0.05


@dataclass
class Listener:
    """Receives one step's figures; in another process (a Spark task) it is silent."""

    context: dg.AssetExecutionContext
    watcher: Watcher | None
    last_time: float = field(default_factory=time.monotonic)
    last_done: int = 0

    def __call__(self, figures: Figures) -> None:
        """Passes the figures on; writes an observation every 30 s, or with every twentieth of the work."""
        if self.watcher:
            self.watcher(str(self.context.partition_key), figures)
        elapsed = time.monotonic() - self.last_time
        gained = (figures.done - self.last_done) / figures.total if figures.total else 0.0
        if elapsed >= OBSERVE_EVERY_S or (gained >= OBSERVE_EVERY_SHARE and elapsed >= 2.0):
            self.last_time, self.last_done = time.monotonic(), figures.done
            self.context.log_event(
                dg.AssetObservation(
                    self.context.asset_key, partition=str(self.context.partition_key), metadata=_metadata(figures)
                )
            )

    def __reduce__(self) -> tuple[Callable[[], Callable[[Figures], None]], tuple[()]]:
        """A Dagster context cannot travel; the copy in a Spark task says nothing."""
        return _silence, ()


@dataclass(frozen=True)
class Progress:
    """Makes listeners for steps; `watcher` is the command line's progress bar, if there is one."""

    watcher: Watcher | None = None

    def listener(self, context: dg.AssetExecutionContext) -> Listener:
        """A listener for the step that runs in `context`."""
        return Listener(context, self.watcher)


def _metadata(figures: Figures) -> dict[str, Any]:
    packing = {"kept_out_of_packs": figures.kept_apart, "not_believed_in_a_pack": figures.disbelieved}
    return {
        "done": figures.done,
        "in_flight": figures.in_flight,
        "calls": figures.calls,
        "refused": figures.refused,
        "cost_usd": figures.cost_usd,
        "per_second": figures.rate,
    } | {name: count for name, count in packing.items() if count}


def _silence() -> Callable[[Figures], None]:
    return _ignore


def _ignore(figures: Figures) -> None:
    del figures

"""A cap on what may be spent, shared by every process that works under it.

Belongs here: the cap as a value that travels in a plan, and the ledger of what was spent. Who sets a cap, and what
happens when it is reached, belongs elsewhere.

A ledger is a file of lines `calls cost`, one per sync of a process, so that runs, Spark tasks and later launches under
the same cap add up, and a process that dies has entered all but its last moments.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from semtel_dagster.errors import SemtelError, SettingsError


class BudgetSpentError(SemtelError):
    """The cap of a backfill is reached; what was answered is in the journal, and the next run goes on from there."""


@dataclass(frozen=True)
class Spent:
    """Calls that were not refused, and their price in USD."""

    calls: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True)
class Budget:
    """How much may be spent in all, by everybody who enters it in the same ledger.

    Attributes:
        ledger: The file.
        max_calls: Calls, refusals left out; None: no cap.
        max_cost_usd: USD; None: no cap.
    """

    ledger: str
    max_calls: int | None = None
    max_cost_usd: float | None = None

    def spent(self) -> Spent:
        """What has been entered so far."""
        path = Path(self.ledger)
        entries = [line.split() for line in path.read_text().split("\n")[:-1]] if path.exists() else []
        return Spent(sum(int(calls) for calls, _ in entries), sum(float(cost) for _, cost in entries))

    def allows(self, spent: Spent) -> bool:
        """Whether one more call may go when so much is spent."""
        within_calls = self.max_calls is None or spent.calls < self.max_calls
        return within_calls and (self.max_cost_usd is None or spent.cost_usd < self.max_cost_usd)

    @property
    def left(self) -> bool:
        """Whether there is anything left to spend."""
        return self.allows(self.spent())

    def to_tag(self) -> str:
        """The text form that a Dagster run carries."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_tag(cls, text: str) -> Budget:
        """Reads the text form.

        Raises:
            SettingsError: It is not one.
        """
        try:
            return cls(**orjson.loads(text))
        except (TypeError, ValueError):
            raise SettingsError("the run's budget tag is not readable; launch it with semtel backfill") from None


class Purse:
    """One process's view of a budget: what it spent itself, and what others had entered when it last looked."""

    def __init__(self, budget: Budget) -> None:
        """Reads the ledger."""
        self.budget = budget
        self._entered = Spent()
        self._others = budget.spent()

    def allows(self, spent: Spent) -> bool:
        """Whether one more call may go.

        Args:
            spent: By this process since it began, with what calls under way are expected to cost.
        """
        calls = self._others.calls + spent.calls
        return self.budget.allows(Spent(calls, self._others.cost_usd + spent.cost_usd))

    def sync(self, spent: Spent) -> None:
        """Enters what this process spent since the last time, and looks what others did.

        Args:
            spent: By this process since it began; calls that have ended only.
        """
        calls, cost = spent.calls - self._entered.calls, spent.cost_usd - self._entered.cost_usd
        if calls or cost:
            Path(self.budget.ledger).parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.budget.ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(handle, f"{calls} {cost!r}\n".encode())
            finally:
                os.close(handle)
            self._entered = spent
        entered = self.budget.spent()
        self._others = Spent(entered.calls - self._entered.calls, entered.cost_usd - self._entered.cost_usd)

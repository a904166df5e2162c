"""A cap on what may be spent, shared by every process that works under it.

Belongs here: the cap as a value that travels in a plan, and the ledger of what was spent. Who sets a cap, and what
happens when it is reached, belongs elsewhere.

A ledger is a file of lines `calls cost`, one per sync of a process, so that runs, Spark tasks and later launches under
the same cap add up, and a process that dies has entered all but its last moments.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Protocol

import orjson

from semtel_dagster.errors import SemtelError, SettingsError

SPENT = "the budget is spent; what was answered is kept, and a later run goes on from there"


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
        return Ledger(self.ledger).read()

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


class Ledger:
    """Reads and appends entries; each read takes up only what is new."""

    def __init__(self, path: str) -> None:
        """Opens nothing; a file that is not there is empty."""
        self._path = Path(path)
        self._offset = 0
        self._total = Spent()

    def read(self) -> Spent:
        """The sum of all entries."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._offset)
                whole, _, _ = file.read().rpartition(b"\n")
            if whole:
                self._offset += len(whole) + 1
                entries = [line.split() for line in whole.split(b"\n")]
                self._total = Spent(
                    self._total.calls + sum(int(calls) for calls, _ in entries),
                    self._total.cost_usd + sum(float(cost) for _, cost in entries),
                )
        return self._total

    def enter(self, spent: Spent) -> None:
        """Appends an entry."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(handle, f"{spent.calls} {spent.cost_usd!r}\n".encode())
        finally:
            os.close(handle)


class Spender(Protocol):
    """An endpoint's counts."""

    calls: int
    answered: int
    refused: int

    @property
    def cost_usd(self) -> float:
        """What its calls cost."""
        ...


class Purse:
    """One process's view of a budget: what it spent itself, and what others had entered when it last looked."""

    def __init__(self, budget: Budget, spenders: Sequence[Spender]) -> None:
        """Reads the ledger."""
        self._budget = budget
        self._spenders = spenders
        self._ledger = Ledger(budget.ledger)
        self._entered = Spent()
        self._others = self._ledger.read()

    def allows(self, under_way: int) -> bool:
        """Whether one more call may go beside those under way, which count with what an answer costs on average.

        While no answer's cost is known, one call goes at a time.
        """
        calls = sum(each.calls - each.refused for each in self._spenders)
        cost = sum(each.cost_usd for each in self._spenders)
        if under_way:
            answers = sum(each.answered for each in self._spenders)
            cost += under_way * cost / answers if answers else inf
        return self._budget.allows(Spent(self._others.calls + calls, self._others.cost_usd + cost))

    def sync(self, under_way: int = 0) -> None:
        """Enters what ended since the last time, and looks what others did."""
        calls = sum(each.calls - each.refused for each in self._spenders) - under_way
        spent = Spent(calls, sum(each.cost_usd for each in self._spenders))
        if spent != self._entered:
            self._ledger.enter(Spent(spent.calls - self._entered.calls, spent.cost_usd - self._entered.cost_usd))
            self._entered = spent
        entered = self._ledger.read()
        self._others = Spent(entered.calls - self._entered.calls, entered.cost_usd - self._entered.cost_usd)

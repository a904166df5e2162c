"""Which fault strikes a call: a pure function of the script, the conversation and its nth call.

How a fault looks on the wire belongs in `service` and `replies`.
"""

from __future__ import annotations

from semtel_dagster.loopback.chance import unit
from semtel_dagster.loopback.script import ROW_FAULTS, Faults


class FaultDraw:
    """The faults of a script, ready to be drawn.

    One number decides among the faults that stick to a conversation, another among those drawn for each call; a
    conversation that its own fault strikes meets no other.
    """

    def __init__(self, faults: Faults, seed: int) -> None:
        self.faults = faults
        self._seed = seed
        shares = faults.shares()
        sticks = {"row": ROW_FAULTS, "all": tuple(name for name, _ in shares), "none": ()}[faults.sticky]
        self._sticking = _ladder([(name, share) for name, share in shares if name in sticks])
        self._fleeting = _ladder([(name, share) for name, share in shares if name not in sticks])
        taken = self._sticking[-1][1] if self._sticking else 0.0
        self._rest = 1.0 - taken
        self.none = not shares

    def draw(self, key: bytes, call: int) -> str | None:
        """The fault of a conversation's nth call (from 1), or None.

        Args:
            key: The conversation's 16 hash bytes.
            call: Which call of this conversation it is, refusals included.
        """
        limit = self.faults.first_calls
        if self.none or (limit is not None and call > limit):
            return None
        if self._sticking:
            struck = _pick(self._sticking, unit(self._seed, "row", key))
            if struck is not None:
                return struck
        if self._fleeting and self._rest > 0:
            return _pick(self._fleeting, unit(self._seed, "call", key, call) * self._rest)
        return None


def _ladder(shares: list[tuple[str, float]]) -> list[tuple[str, float]]:
    steps, total = [], 0.0
    for name, share in shares:
        total += share
        steps.append((name, total))
    return steps


def _pick(ladder: list[tuple[str, float]], at: float) -> str | None:
    return next((name for name, step in ladder if at < step), None)

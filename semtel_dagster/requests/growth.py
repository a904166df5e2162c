"""How a learned rate moves in time.

Belongs here: the formula. When it applies belongs in `rate`.
"""

from __future__ import annotations

CUT = 0.03
DOUBLING_S = 1.0
MOST_DOUBLINGS = 6.0
STEADY_AGE = 4.0


def cubic(age: float, hold: float, doubling: float = DOUBLING_S) -> float:
    """The factor of the plateau: a small cut, back up, a hold, then ever faster beyond (CUBIC: Ha, Rhee, Xu 2008).

    Args:
        age: Seconds since the last event in which the rate held calls back.
        hold: Seconds until the plateau is reached again.
        doubling: Seconds in which the rate doubles once it is well beyond.
    """
    phase = age / hold - 1
    if phase <= 0.5:
        return 1 + CUT * (phase**3 if phase < 0 else phase)
    return float((1 + CUT / 2) * 2.0 ** min((phase - 0.5) * hold / doubling, MOST_DOUBLINGS))


def shared(age: float, cut: float) -> float:
    """The factor of what a cut left, for one of several processes: back at one, then faster and faster.

    Who was cut long ago sends less than the others, who meet refusals more often; so it may grow faster.

    Args:
        age: Time since the last event, in units of the usual time to regain what it cost.
        cut: The share that an event takes.
    """
    regained = min(age, STEADY_AGE)
    return float((1 + cut / (1 - cut) * regained) * 2.0 ** min(max(age - STEADY_AGE, 0.0), MOST_DOUBLINGS))

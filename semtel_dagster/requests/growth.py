"""How a learned rate moves in time.

Belongs here: the formula. When it applies belongs in `rate`.
"""

from __future__ import annotations

CUT = 0.03
DOUBLING_S = 1.0
MOST_DOUBLINGS = 6.0
STEADY_AGE = 4.0
REGAIN_S = 3.0
REGAIN_RATE = 50.0
REGAIN_POWER = 0.8
LARGE_RATE = 38.0  # units per second that take a second
MEANT_CALLS = 100.0
LEAST_REGAIN_CALLS = 30.0
LONGEST_LEAST_S = 4.0
SLOWER_POWER = 3.0
MOST_SLOWER = 30.0
LONGEST_REGAIN_S = 20.0


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


def regain_s(plateau: float, between: float) -> float:
    """Seconds in which one of several processes regains what a refusal cost it.

    At large rates, where refusals are seldom, in proportion to its rate: the increase per second is then the same for
    all, and that is what brings shares together. At small ones it takes some calls at least, and where refusals are
    frequent all of them, who see the same share refused, slow down.

    Args:
        plateau: What the last event left, in units per second.
        between: Units that usually go between two events.
    """
    known = max(plateau, 0.01)
    least = min(LEAST_REGAIN_CALLS / known, LONGEST_LEAST_S)
    small = REGAIN_S * min((known / REGAIN_RATE) ** REGAIN_POWER, 1.0)
    slower = min(max(MEANT_CALLS / max(between, 1.0), 1.0) ** SLOWER_POWER, MOST_SLOWER)
    return float(min(max(known / LARGE_RATE, small, least) * slower, LONGEST_REGAIN_S))

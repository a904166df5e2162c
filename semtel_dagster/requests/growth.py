"""How a learned rate moves in time, and over which time it is measured.

Belongs here: two formulas. When they apply belongs in `rate`.
"""

from __future__ import annotations

CUT = 0.03
DOUBLING_S = 2.0
MOST_DOUBLINGS = 6.0
LONG_S = 2.0
LEAST_S = 0.1


def cubic(age: float, hold: float) -> float:
    """The factor of the plateau: a small cut, back up, a hold, then ever faster beyond (CUBIC: Ha, Rhee, Xu 2008).

    Args:
        age: Seconds since the last event in which the rate held calls back.
        hold: Seconds until the plateau is reached again.
    """
    phase = age / hold - 1
    if phase <= 0.5:
        return 1 + CUT * (phase**3 if phase < 0 else phase)
    return float((1 + CUT / 2) * 2.0 ** min((phase - 0.5) * hold / DOUBLING_S, MOST_DOUBLINGS))


def measured_time(since: tuple[float, float] | None, event_at: float, now: float, unused: float) -> float:
    """Seconds over which what was accepted is the whole quota; 0 before there were two events.

    A bucket is empty at both events, so the time between them counts. A window is used up at both, so the time
    between the ends of both pauses counts; the shorter one is right where they differ much. What a pause let expire
    does not count.

    Args:
        since: When the last event began, and when its pause ended.
        event_at: When this event began.
        now: When its pause ends.
        unused: Seconds of pauses in between that were not made up for.
    """
    if since is None:
        return 0.0
    since_event, since_resume = since
    elapsed = event_at - since_event
    if elapsed >= LONG_S or now - event_at >= LONG_S:
        elapsed = min(elapsed, now - since_resume) - unused
    return max(elapsed, LEAST_S)

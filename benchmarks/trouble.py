"""Four scripted servers with unequal quotas and trouble along the way, and what their quotas grant.

Scripts and arithmetic only; `goodput` runs clients against them. North is calm; east's quota is cut to half for the
middle third; south answers slowly; west is down for ten seconds.
"""

from __future__ import annotations

from typing import Any

from semtel_dagster.loopback.schedule import quota
from semtel_dagster.loopback.script import Script

PER_MINUTE = {"north": 12_000, "east": 6_000, "south": 3_000, "west": 6_000}
DOWN_S = 10.0
SUSTAINED_S = 3.0
USED_AGAIN = 0.9


def scripts(seconds: float, seed: int) -> dict[str, Script]:
    """One script per server; quotas are enforced in every second, refusals name milliseconds, headers tell nothing."""
    third = seconds / 3
    usual = {"median_s": 0.4, "sigma": 0.4}

    def script(name: str, latency: dict[str, float], *phases: dict[str, Any]) -> Script:
        limits = {"window_s": 1, "retry_after": "ms", "headers": "none", "requests_per_minute": PER_MINUTE[name]}
        return Script(seed=seed * 10 + len(name), latency=latency, limits=limits, phases=phases)

    return {
        "north": script("north", usual),
        "east": script("east", usual, {"at_s": third, "capacity": 0.5}, {"at_s": 2 * third}),
        "south": script("south", {"median_s": 3.0, "sigma": 0.4}),
        "west": script("west", usual, {"at_s": third, "down": "unavailable"}, {"at_s": third + DOWN_S}),
    }


def granted(script: Script, since: float, until: float) -> float:
    """Calls that a server's quota grants in a part of its clock: the area under its rate."""
    return quota(script, since, until)


def accepted(stats: dict[str, Any]) -> list[int]:
    """Calls that a server let in, by tenths of a second of its clock."""
    series = stats["series"]
    rows = zip(series["calls"], series["refused"], series["faults"], strict=True)
    return [calls - refused - faults for calls, refused, faults in rows]


def regained_after(stats: dict[str, Any], script: Script, at: float) -> float:
    """Seconds from a quota's return until it is used again, and for three seconds on, to ninety percent.

    Returns:
        The seconds; infinite when that never happened.
    """
    width = stats["series"]["bucket_s"]
    counts = accepted(stats)
    span = round(SUSTAINED_S / width)
    least = USED_AGAIN * granted(script, at, at + SUSTAINED_S)
    for first in range(round(at / width), len(counts) - span + 1):
        if sum(counts[first : first + span]) >= least:
            return first * width - at
    return float("inf")

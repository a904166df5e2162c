"""Tuning on draws from recorded answers, to see whether its promise holds: the last part of `reducers.py`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from benchmarks.reducers_asked import Recorded
from semtel_dagster.tuning.choosing import choose
from semtel_dagster.tuning.measuring import Measured, Rate
from semtel_dagster.tuning.ways import SINGLE, Way


def alike(recorded: Recorded) -> dict[Way, dict[str, np.ndarray]]:
    """By way and task, which conversations have the label of the single call; every one of these has a label."""
    single = recorded.said[SINGLE].labels
    return {
        way: {
            task: np.array([said.labels[task].get(case) == labels[case] for case in recorded.data.sample.conversations])
            for task, labels in single.items()
        }
        for way, said in recorded.said.items()
    }


def draw(recorded: Recorded, same: Mapping[Way, Mapping[str, np.ndarray]], at: np.ndarray) -> dict[Way, Measured]:
    """What would have been measured on these conversations."""
    return {
        way: replace(each, agreement={task: Rate(int(hit[at].sum()), len(at)) for task, hit in same[way].items()})
        for way, each in recorded.measured.items()
    }


def tuned(recorded: Recorded, given: argparse.Namespace, wanted: float, sample: int, title: str) -> str:
    """Tunes on draws from the recorded answers; what all of them say is the truth about a way."""
    rng, same, count = np.random.default_rng(given.seed), alike(recorded), len(recorded.data.sample)
    sequences, broken = recorded.data.sequences(), 0
    chosen: list[Measured] = []
    for _ in range(given.repeats):
        measured = draw(recorded, same, rng.integers(count, size=sample))
        way = choose(measured, sequences, wanted, given.confidence).chosen.way
        chosen.append(recorded.measured[way])
        broken += way != SINGLE and (recorded.measured[way].worst.value or 0.0) < wanted
    single = recorded.measured[SINGLE]
    fewer = [single.tokens / each.tokens for each in chosen]
    before = recorded.right(SINGLE)
    lost = [100 * (before - recorded.right(each.way)) for each in chosen]
    names = [each.way.name for each in chosen]
    usual = max(set(names), key=names.count)
    return (
        f"{title}: wanted {wanted:.2%} at {given.confidence:.0%} confidence, {sample:,} conversations: "
        f"{np.median(fewer):.1f} times fewer tokens at the median ({min(fewer):.1f} to {max(fewer):.1f}), accuracy "
        f"lost {np.median(lost):.2f} points ({min(lost):.2f} to {max(lost):.2f}); broken in {broken} of "
        f"{given.repeats} (allowed {given.repeats * (1 - given.confidence):.0f}); most often: {usual}"
    )


def just_missed(recorded: Recorded) -> float:
    """An agreement that the cheapest way misses by a hair: the hardest case for the promise."""
    cheapest = min(recorded.measured.values(), key=Measured.dearness)
    return min((cheapest.worst.value or 0.0) + 0.0005, 0.9995)

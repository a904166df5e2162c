"""How often a verdict is wrong: false alarms where nothing changed, power where something did, by simulation.

    python benchmarks/verdicts.py

A model gives each conversation a label by a confusion matrix; its candidate draws anew for a share of them (nothing
changed: only unsteadiness), loses accuracy, moves labels one way, or gives no label. Each round has new conversations
and is judged by the pipeline's own functions with their default thresholds. A loss as large as a threshold is found
about every other time, which is what a threshold means. Writes benchmarks/results/verdicts.md.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from semtel_dagster.classifiers import Label, Task
from semtel_dagster.evaluation.agreement import compare
from semtel_dagster.evaluation.drift import paired_drift
from semtel_dagster.evaluation.verdict import ALIGNED, SHIFTED, VERDICTS, WORSE, Evidence, Thresholds, judge

RESULTS = Path(__file__).parent / "results"
LABELS = ("a", "b", "c", "d", "e")
SHARES = (0.4, 0.25, 0.2, 0.1, 0.05)
ACCURACY = 0.8
PERMUTATIONS = 999
SIZES = ((100, 200), (300, 500), (1000, 1000))  # golden cases, conversations without labels
TASK = Task(
    name="task", question="Which?", labels=tuple(Label(name=each, definition=f"What {each} means.") for each in LABELS)
)

Codes = npt.NDArray[np.int64]
Change = Callable[[np.random.Generator, Codes, Codes], Codes]
NO_LABEL = len(LABELS)


@dataclass(frozen=True)
class Case:
    """A change, and the verdict that is right for it; `on_gold` says whether golden cases change, too."""

    name: str
    right: str
    change: Change
    on_gold: bool = True


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=400, help="of each case and size")
    rounds = options.parse_args().rounds
    start = time.perf_counter()
    sizes = " | ".join(f"{golden} golden, {sample} others" for golden, sample in SIZES)
    lines = [f"| what changed | right | {sizes} |", "|---|---|" + "---|" * len(SIZES)]
    for case in cases():
        found = [simulate(case, golden, sample, rounds) for golden, sample in SIZES]
        cells = [
            ", ".join(f"{kind} {100 * each[kind] / rounds:.1f}" for kind in VERDICTS if each[kind]) for each in found
        ]
        lines.append(f"| {case.name} | {case.right} | {' | '.join(cells)} |")
    text = (
        f"# How often a verdict is wrong\n\n`python benchmarks/verdicts.py --rounds {rounds}`: per cent of the rounds, "
        f"{time.perf_counter() - start:.0f} s. {len(LABELS)} labels, accuracy {ACCURACY:.0%}, {PERMUTATIONS} "
        f"permutations; {Thresholds()}\n\n" + "\n".join(lines) + "\n"
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "verdicts.md").write_text(text, encoding="utf-8")
    print(text)


def cases() -> list[Case]:
    found = [
        Case(f"nothing, {unsteady:.0%} drawn anew", ALIGNED, redraw(unsteady)) for unsteady in (0.02, 0.1, 0.3, 0.5)
    ]
    found += [Case(f"accuracy falls by {loss:.0%}", WORSE, lose(loss)) for loss in (0.02, 0.05, 0.1, 0.2)]
    found += [Case(f"accuracy rises by {-loss:.0%}", "aligned or shifted", lose(loss)) for loss in (-0.05, -0.1)]
    found += [Case("two labels swapped", WORSE, swap)]
    found += [Case(f"{share:.0%} of all move from a to b", SHIFTED, move(share), False) for share in (0.02, 0.05, 0.1)]
    found += [Case(f"{share:.0%} of answers have no label", WORSE, drop(share), False) for share in (0.02, 0.05, 0.1)]
    return found


def simulate(case: Case, golden: int, sample: int, rounds: int) -> Counter[str]:
    rng = np.random.default_rng([golden, sample, sum(case.name.encode())])
    verdicts: Counter[str] = Counter()
    for number in range(rounds):
        (gold, gold_before), (truth, before) = (conversations(rng, size) for size in (golden, sample))
        gold_change = case.change if case.on_gold else redraw(0.02)
        gold_after, after = gold_change(rng, gold, gold_before), case.change(rng, truth, before)
        triples = list(zip(names(gold), names(gold_before), names(gold_after), strict=True))
        pairs = list(zip(names(before), names(after), strict=True))
        drift = paired_drift(pairs, LABELS, seed=number, permutations=PERMUTATIONS)
        verdicts[judge([Evidence("task", compare(TASK, triples), drift)]).kind] += 1
    return verdicts


def conversations(rng: np.random.Generator, size: int) -> tuple[Codes, Codes]:
    """True labels, and what the model says."""
    truth = rng.choice(len(LABELS), size=size, p=SHARES)
    return truth, said(rng, truth, ACCURACY)


def said(rng: np.random.Generator, truth: Codes, accuracy: float) -> Codes:
    """The true label as often as `accuracy`, else another by its share."""
    wrong = rng.choice(len(LABELS), size=len(truth), p=SHARES)
    wrong = np.where(wrong == truth, (wrong + 1) % len(LABELS), wrong)
    return np.where(rng.random(len(truth)) < accuracy, truth, wrong)


def redraw(share: float) -> Change:
    """The model is as it was, but says something for this share of conversations anew."""
    return lambda rng, truth, before: np.where(rng.random(len(truth)) < share, said(rng, truth, ACCURACY), before)


def lose(loss: float) -> Change:
    """Right answers become wrong ones (or wrong ones right), for this share of all conversations, net."""

    def change(rng: np.random.Generator, truth: Codes, before: Codes) -> Codes:
        hit = before == truth
        if loss < 0:
            return np.where(~hit & (rng.random(len(truth)) < -loss / (1 - ACCURACY)), truth, before)
        return np.where(hit & (rng.random(len(truth)) < loss / ACCURACY), said(rng, truth, 0.0), before)

    return change


def swap(_rng: np.random.Generator, _truth: Codes, before: Codes) -> Codes:
    return np.select([before == 1, before == 2], [2, 1], before)


def move(share: float) -> Change:
    """One label becomes another, in one direction."""

    def change(rng: np.random.Generator, truth: Codes, before: Codes) -> Codes:
        chance = share / max((before == 0).mean(), 1e-9)
        return np.where((before == 0) & (rng.random(len(truth)) < chance), 1, before)

    return change


def drop(share: float) -> Change:
    """Some answers have no label."""
    return lambda rng, truth, before: np.where(rng.random(len(truth)) < share, NO_LABEL, before)


def names(codes: Codes) -> list[str | None]:
    return [LABELS[code] if code < NO_LABEL else None for code in codes.tolist()]


if __name__ == "__main__":
    main()

"""The verdict on a prompt or model: aligned with the baseline, shifted from it, or worse than it, and why.

- worse: it loses golden cases that the baseline had (paired test), or gives clearly more answers without a label.
- shifted: labels of the same conversations moved in one direction, or more of them flipped than chance and the
  model's own unsteadiness explain. A shift can be an improvement; a person decides.
- aligned: neither.

A difference counts when it is both significant and large enough to matter. Judging only: measuring belongs in
`agreement`, `drift` and `stability`; what a verdict blocks, in `gate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from semtel_dagster.evaluation.agreement import Estimate, Paired
from semtel_dagster.evaluation.drift import MISSING, Drift

ALIGNED, SHIFTED, WORSE = "aligned", "shifted", "worse"
VERDICTS = (ALIGNED, SHIFTED, WORSE)  # from mild to grave
_MOST_MOVED = 3


@dataclass(frozen=True)
class Thresholds:
    """When a difference counts.

    Attributes:
        significance: p-values below it are significant; tasks are judged one by one.
        gold_loss: Share of golden cases lost, net, from which on it matters.
        moved: Share of conversations whose label would have to move back (total variation).
        flips: Share of conversations with another label, beyond the model's own flip rate.
        missing: Growth of the share without a label.
    """

    significance: float = 0.01
    gold_loss: float = 0.02
    moved: float = 0.03
    flips: float = 0.20
    missing: float = 0.02


@dataclass(frozen=True)
class Evidence:
    """What is known about one task of a candidate.

    Attributes:
        task: Its name.
        paired: Who is nearer to gold, case by case; None without common golden cases.
        drift: From the baseline's labels of the same conversations; None without common conversations.
        unsteady: The candidate's own flip rate over repeats, if it was measured.
    """

    task: str
    paired: Paired | None = None
    drift: Drift | None = None
    unsteady: Estimate | None = None


@dataclass(frozen=True)
class Verdict:
    """The gravest finding over all tasks, with the reasons for it in words."""

    kind: str
    reasons: tuple[str, ...]


def judge(evidence: Iterable[Evidence], thresholds: Thresholds | None = None) -> Verdict:
    """Weighs the evidence of every task; without any the candidate is the first, and aligned with itself."""
    limits = thresholds or Thresholds()
    findings = [finding for each in evidence for finding in _findings(each, limits)]
    if not findings:
        return Verdict(ALIGNED, ("There is nothing to compare with yet: no baseline, or no case in common with it.",))
    kind = max((kind for kind, _ in findings), key=VERDICTS.index)
    return Verdict(kind, tuple(reason for found, reason in findings if found == kind))


def _findings(evidence: Evidence, limits: Thresholds) -> Iterator[tuple[str, str]]:
    if evidence.paired is not None and evidence.paired.n:
        yield _against_gold(evidence.task, evidence.paired, limits)
    if evidence.drift is not None:
        yield from _against_baseline(evidence, evidence.drift, limits)


def _against_gold(task: str, paired: Paired, limits: Thresholds) -> tuple[str, str]:
    net = (paired.worse - paired.better) / paired.n
    figures = (
        f"{paired.n} golden cases: accuracy {paired.before:.1%} before, {paired.after:.1%} now; "
        f"{paired.better} cases nearer to gold, {paired.worse} farther ({_p(paired.p_value)})"
    )
    if paired.p_value < limits.significance and net >= limits.gold_loss:
        return WORSE, f"{task}: it agrees less with people. {figures}."
    return ALIGNED, f"{task}: {figures}."


def _against_baseline(evidence: Evidence, drift: Drift, limits: Thresholds) -> Iterator[tuple[str, str]]:
    significant = drift.p_value < limits.significance
    lost = drift.moved.get(MISSING, 0.0)
    if significant and lost >= limits.missing:
        yield WORSE, f"{evidence.task}: {lost:.1%} more conversations have no label ({_p(drift.p_value)})."
    if significant and drift.total_variation >= limits.moved:
        yield (
            SHIFTED,
            f"{evidence.task}: {drift.total_variation:.1%} of {drift.n} conversations moved ({_p(drift.p_value)}): "
            f"{_moved(drift)}.",
        )
        return
    own = (evidence.unsteady.value or 0.0) if evidence.unsteady else 0.0
    flips = drift.flips or 0.0
    # One standard error below the measured rate, so that a small sample alone does not make a shift.
    if flips - (flips * (1 - flips) / max(drift.n, 1)) ** 0.5 > limits.flips + own:
        yield (
            SHIFTED,
            f"{evidence.task}: {flips:.1%} of {drift.n} conversations have another label than before, though the "
            "shares stayed alike; look at the flows.",
        )
        return
    yield (
        ALIGNED,
        f"{evidence.task}: {flips:.1%} of {drift.n} conversations have another label than before, in no "
        f"direction that matters (distance of the shares {drift.total_variation:.1%}, {_p(drift.p_value)}).",
    )


def _moved(drift: Drift) -> str:
    largest = sorted(drift.moved.items(), key=lambda item: -abs(item[1]))[:_MOST_MOVED]
    return ", ".join(f"{label} {100 * share:+.1f} points" for label, share in largest if share)


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"

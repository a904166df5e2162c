"""What people see of a student: numbers that plot over its versions, and its thresholds.

Belongs here: from a trained student to plain values for an asset's metadata.
"""

from __future__ import annotations

from typing import Any

from semtel_dagster.cascade.drift import Evidence
from semtel_dagster.cascade.training import ALL_LABELS, Trained


def figures_of(trained: Trained) -> dict[str, Any]:
    """A student's figures by name; the agreement is left out where it answers nothing."""
    figures: dict[str, Any] = {
        "version": trained.version,
        "wanted_agreement": trained.agreement,
        "confidence": trained.confidence,
        "coverage": trained.coverage,
        "fitted_rows": trained.fitted,
        "held_out_rows": trained.held_out,
        "labels_answered": sum(bound.threshold is not None for bound in trained.bounds.values()),
        "thresholds": {
            label or "all labels": {
                "threshold": bound.threshold,
                "held_out": bound.rows,
                "answered": bound.answered,
                "agreement": bound.observed,
                "lower_bound": bound.lower,
            }
            for label, bound in trained.bounds.items()
        },
        "weeks": ", ".join(trained.weeks) or "none",
    }
    if trained.observed is not None:
        figures["agreement"] = trained.observed
    if ALL_LABELS in trained.bounds:
        figures["lower_bound"] = trained.bounds[ALL_LABELS].lower
        del figures["labels_answered"]
    return figures


def watched(evidence: Evidence) -> dict[str, float]:
    """What the weeks since the training say, as numbers."""
    seen = {} if evidence.agreement is None else {"agreement": evidence.agreement}
    return {
        "compared": evidence.rows,
        "disagreeing": evidence.disagreeing,
        "evidence_against": evidence.wealth,
        "broken_from": evidence.limit,
        **seen,
    }

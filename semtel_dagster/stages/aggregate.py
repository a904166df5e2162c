"""Stage aggregate: the labels of a week and classifier become weighted shares per label and segment.

Only group-bys, which an engine can distribute; what they give is small and is collected. What may be published and
how a share is estimated belongs in `estimation/`, which comes in as the `Estimator`.
"""

from __future__ import annotations

from typing import Protocol

import narwhals as nw
import pyarrow as pa

from semtel_dagster.engines.base import Engine, Frame
from semtel_dagster.settings import AggregateSettings

GROUP = ["task", "segment"]
CELL = [*GROUP, "label"]


class Estimator(Protocol):
    """What the stage asks of `estimation.estimator.ShareEstimator`; columns are named there."""

    def hide(self, counts: pa.Table, small_users: pa.Table) -> pa.Table:
        """The cells (task, segment, label) that are pooled into their segment's "(suppressed)" row."""
        ...

    def estimate(self, sums: pa.Table, clusters: pa.Table) -> pa.Table:
        """The rows of `tables.LABEL_SHARES`."""
        ...


def aggregate(labels: Frame, options: AggregateSettings, engine: Engine, estimator: Estimator) -> Frame:
    """Weighted label shares with intervals; small cells are pooled.

    Every conversation counts once per task and segment: one without a label is in the cell "(invalid)" or
    "(unanswered)". Users are the clusters; a conversation without a user is its own.

    Args:
        labels: Columns of `tables.LABELS`.
        options: Thresholds, and the columns to break shares down by.
        engine: Makes the frame of the result.
        estimator: Decides what is published and estimates it.

    Returns:
        A frame of schema `tables.LABEL_SHARES`. Over the rows of a task and segment, `n` adds up to the
        conversations there. A label that nobody has in a segment has no row, so that zero and suppressed look alike.
    """
    rows = _segmented(_labelled(labels), options.segments)
    counts = rows.group_by(CELL).agg(n=nw.len(), n_users=nw.col("cluster").n_unique())
    hidden = engine.from_arrow(estimator.hide(_collect(counts), _collect(_small_users(rows, counts, options))))
    published = _pooled(rows, hidden)
    clusters = rows.group_by(GROUP).agg(clusters=nw.col("cluster").n_unique())
    return engine.from_arrow(estimator.estimate(_collect(_sums(published)), _collect(clusters)))


def _labelled(labels: Frame) -> Frame:
    anonymous = nw.concat_str(nw.lit("c:"), nw.col("conversation_id"))
    unlabelled = nw.when(nw.col("label_status") == "unanswered").then(nw.lit("(unanswered)"))
    return labels.with_columns(
        label=nw.coalesce("label", unlabelled.otherwise(nw.lit("(invalid)"))),
        cluster=nw.coalesce(nw.concat_str(nw.lit("u:"), nw.col("user_id")), anonymous),
    )


def _segmented(labels: Frame, columns: tuple[str, ...]) -> Frame:
    """Every row once for "all" and once for its value of each segment column."""
    values = [nw.lit("all")] + [
        nw.concat_str(nw.lit(f"{column}="), nw.coalesce(nw.col(column).cast(nw.String), nw.lit("(unknown)")))
        for column in columns
    ]
    return nw.concat(
        [labels.select("task", value.alias("segment"), "label", "cluster", "weight", "score") for value in values]
    )


def _small_users(rows: Frame, counts: Frame, options: AggregateSettings) -> Frame:
    """Distinct users of each segment's cells under the thresholds, taken together."""
    small = counts.filter((nw.col("n") < options.min_conversations) | (nw.col("n_users") < options.min_users))
    return rows.join(small.select(CELL), on=CELL, how="semi").group_by(GROUP).agg(n_users=nw.col("cluster").n_unique())


def _pooled(rows: Frame, hidden: Frame) -> Frame:
    shown = rows.join(hidden, on=CELL, how="anti")
    return nw.concat([shown, rows.join(hidden, on=CELL, how="semi").with_columns(label=nw.lit("(suppressed)"))])


def _sums(rows: Frame) -> Frame:
    """The sums that `estimation.shares` needs, first per user, then over users."""
    scored = nw.when(~nw.col("score").is_null()).then(nw.col("weight")).otherwise(0.0)
    per_user = (
        rows.with_columns(scored=nw.col("weight") * nw.col("score"), scored_weight=scored)
        .group_by([*CELL, "cluster"])
        .agg(nw.col("weight", "scored", "scored_weight").sum(), n=nw.len())
        .with_columns(total=nw.col("weight").sum().over(*GROUP, "cluster"))
        .with_columns(
            squares=nw.col("weight") * nw.col("weight"), products=nw.col("weight") * nw.col("total"), n_users=nw.lit(1)
        )
    )
    columns = ("n", "n_users", "weight", "squares", "products", "scored", "scored_weight")
    return per_user.group_by(CELL).agg(nw.col(*columns).sum())


def _collect(frame: Frame) -> pa.Table:
    return frame.collect("pyarrow").to_arrow()

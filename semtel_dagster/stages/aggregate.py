"""Stage aggregate: the labels of a week and classifier become weighted shares per label and segment.

Only group-bys, which an engine can distribute; what they give is small and is collected. Conversations are summed up
by user first: all else is asked of these sums. What may be published and
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
SUMS = ["n", "weight", "scored", "scored_weight"]


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
    users = _per_user(labels, options.segments)
    if not engine.distributed:
        users = users.collect().lazy()  # asked four times; a row per user, not per conversation
    counts = users.group_by(CELL).agg(nw.col("n").sum(), n_users=nw.len())
    hidden = engine.from_arrow(estimator.hide(_collect(counts), _collect(_small_users(users, counts, options))))
    clusters = users.group_by(GROUP).agg(clusters=nw.col("cluster").n_unique())
    return engine.from_arrow(estimator.estimate(_collect(_sums(_pooled(users, hidden))), _collect(clusters)))


def _per_user(labels: Frame, columns: tuple[str, ...]) -> Frame:
    """Each user's sums in each cell; a user's rows stand under "all" and under each segment column's values."""
    anonymous = nw.concat_str(nw.lit("c:"), nw.col("conversation_id"))
    unlabelled = nw.when(nw.col("label_status") == "unanswered").then(nw.lit("(unanswered)"))
    scored = ~nw.col("score").is_null()
    rows = labels.select(
        "task",
        *columns,
        "weight",
        label=nw.coalesce("label", unlabelled.otherwise(nw.lit("(invalid)"))),
        cluster=nw.coalesce(nw.concat_str(nw.lit("u:"), nw.col("user_id")), anonymous),
        n=nw.lit(1, nw.Int64),
        scored=nw.when(scored).then(nw.col("weight") * nw.col("score")).otherwise(0.0),
        scored_weight=nw.when(scored).then(nw.col("weight")).otherwise(0.0),
    )
    finest = _summed(rows, ["task", "label", "cluster", *columns])
    values = [nw.lit("all")] + [
        nw.concat_str(nw.lit(f"{column}="), nw.coalesce(nw.col(column).cast(nw.String), nw.lit("(unknown)")))
        for column in columns
    ]
    segments = [finest.select("task", "label", "cluster", *SUMS, value.alias("segment")) for value in values]
    return _summed(nw.concat(segments), [*CELL, "cluster"])


def _summed(rows: Frame, by: list[str]) -> Frame:
    return rows.group_by(by).agg(nw.col(*SUMS).sum())


def _small_users(users: Frame, counts: Frame, options: AggregateSettings) -> Frame:
    """Distinct users of each segment's cells under the thresholds, taken together."""
    small = counts.filter((nw.col("n") < options.min_conversations) | (nw.col("n_users") < options.min_users))
    return users.join(small.select(CELL), on=CELL, how="semi").group_by(GROUP).agg(n_users=nw.col("cluster").n_unique())


def _pooled(users: Frame, hidden: Frame) -> Frame:
    shown = users.join(hidden, on=CELL, how="anti")
    pool = users.join(hidden, on=CELL, how="semi").with_columns(label=nw.lit("(suppressed)"))
    return nw.concat([each.select(*CELL, "cluster", *SUMS) for each in (shown, _summed(pool, [*CELL, "cluster"]))])


def _sums(users: Frame) -> Frame:
    """The sums over users that `estimation.shares` needs."""
    totals = users.group_by([*GROUP, "cluster"]).agg(total=nw.col("weight").sum())
    products = users.join(totals, on=[*GROUP, "cluster"], how="inner").with_columns(
        squares=nw.col("weight") * nw.col("weight"), products=nw.col("weight") * nw.col("total"), n_users=nw.lit(1)
    )
    columns = ("n", "n_users", "weight", "squares", "products", "scored", "scored_weight")
    return products.group_by(CELL).agg(nw.col(*columns).sum())


def _collect(frame: Frame) -> pa.Table:
    return frame.collect("pyarrow").to_arrow()

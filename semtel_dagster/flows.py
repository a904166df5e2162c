"""How labels moved between two versions of a prompt: the same conversations, answered under both.

Belongs here: joining two sets of parsed answers and summing the moves. Getting the answers belongs in `comparing`,
showing the moves in `reporting`.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

UNLABELLED = {"invalid": "(invalid)", "unanswered": "(unanswered)"}


@dataclass(frozen=True)
class Flow:
    """Conversations that had one label and have another (or the same).

    Attributes:
        before: The label under the old prompt.
        after: The label under the new one.
        conversations: Distinct conversations.
        share: Of all conversations compared, with their weights.
    """

    before: str
    after: str
    conversations: int
    share: float

    @property
    def moved(self) -> bool:
        """Whether the label changed."""
        return self.before != self.after


@dataclass(frozen=True)
class ShareMove:
    """A label's weighted share under both prompts, among the conversations compared."""

    label: str
    before: float
    after: float

    @property
    def change(self) -> float:
        """The new share minus the old one."""
        return self.after - self.before


@dataclass(frozen=True)
class TaskFlows:
    """One task's moves.

    Attributes:
        task: Its name.
        conversations: Distinct conversations compared.
        unchanged: The weighted share of those that kept their label.
        shares: By label; the largest change first.
        flows: The largest first.
    """

    task: str
    conversations: int
    unchanged: float
    shares: tuple[ShareMove, ...]
    flows: tuple[Flow, ...]


def task_flows(before: pl.DataFrame, after: pl.DataFrame, weights: pl.DataFrame) -> list[TaskFlows]:
    """Compares labels text by text.

    Args:
        before: Columns content_hash, task, label, label_status under the old prompt.
        after: The same under the new one; texts and tasks that one side lacks are left out.
        weights: Columns content_hash and weight.

    Returns:
        One value per task that both prompts ask, by name.
    """
    keys = ["content_hash", "task"]
    both = (
        _named(before, "before")
        .join(_named(after, "after"), on=keys, how="inner")
        .join(weights, on="content_hash", how="inner")
    )
    return [_task_flows(name, both.filter(pl.col("task") == name)) for name in sorted(set(both["task"]))]


def _named(labels: pl.DataFrame, name: str) -> pl.DataFrame:
    unlabelled = pl.col("label_status").replace_strict(UNLABELLED, default=UNLABELLED["invalid"])
    return labels.select("content_hash", "task", pl.coalesce("label", unlabelled).alias(name))


def _task_flows(task: str, both: pl.DataFrame) -> TaskFlows:
    total = float(both["weight"].sum())
    moves = both.group_by("before", "after").agg(pl.len().alias("n"), (pl.col("weight").sum() / total).alias("share"))
    flows = [Flow(*row) for row in moves.select("before", "after", "n", "share").iter_rows()]
    labels = sorted({flow.before for flow in flows} | {flow.after for flow in flows})
    shares = [
        ShareMove(
            label,
            sum(flow.share for flow in flows if flow.before == label),
            sum(flow.share for flow in flows if flow.after == label),
        )
        for label in labels
    ]
    return TaskFlows(
        task,
        both.height,
        sum(flow.share for flow in flows if not flow.moved),
        tuple(sorted(shares, key=lambda move: (-abs(move.change), move.label))),
        tuple(sorted(flows, key=lambda flow: (-flow.share, flow.before, flow.after))),
    )

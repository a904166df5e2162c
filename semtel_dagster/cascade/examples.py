"""What a teacher said about stored conversations, read from the tables: embeddings beside labels.

Belongs here: which rows of `labels` and `conversation_embeddings` are examples. What they are used for belongs in
`training` and `drift`. Texts are not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from semtel_dagster.cascade.chosen import ASKED_ANYWAY, chosen
from semtel_dagster.cascade.training import Examples
from semtel_dagster.datasets import partition_folder
from semtel_dagster.labels.parsed import INVALID, PREDICTED, PREDICTED_MARK, UNANSWERED

UNTAUGHT = (PREDICTED, INVALID, UNANSWERED)
LABELS_TABLE, VECTORS_TABLE = "labels", "conversation_embeddings"

Gold = Mapping[str, Mapping[str, str]]
"""By task, people's labels by conversation_id or content hash."""


def read_examples(
    storage: str,
    classifier: str,
    tasks: Sequence[str],
    prompt_fingerprint: str,
    shares: Mapping[str, float],
    weeks: Iterable[str],
    gold: Gold | None = None,
) -> Examples | None:
    """All rows of some weeks that have a label for every task and an embedding; each content hash once.

    A conversation whose answer was invalid or missing taught nothing, and neither did a student's own answer.

    Args:
        storage: Where the tables are.
        classifier: Its name.
        tasks: Its tasks.
        prompt_fingerprint: Answers to other prompts are left out.
        shares: By version of students, the share that was asked anyway beside it.
        weeks: Mondays; weeks without labels are passed over.
        gold: Learn from these labels instead of the model's.

    Returns:
        None where there is no row. Of several weeks' vectors only those count whose model made the last week's.
    """
    found = [
        (week, table)
        for week in sorted(weeks)
        if (table := _week(storage, classifier, tasks, prompt_fingerprint, shares, week, gold)) is not None
    ]
    if not found:
        return None
    rows = pl.concat([table.with_columns(week=pl.lit(week)) for week, table in found])
    rows = rows.filter(pl.col("model") == pl.col("model").last())
    rows = rows.unique("content_hash", keep="last").sort("content_hash")
    if not rows.height:
        return None
    return Examples(
        content_hashes=tuple(rows["content_hash"]),
        vectors=vectors_of(rows["embedding"]),
        taught=tuple(rows.select(tasks).iter_rows()),
        honest=rows["honest"].to_numpy(),
        whole=rows["whole"].to_numpy(),
        embedding=str(rows["model"][0]),
        weeks=tuple(sorted(set(rows["week"]))),
    )


def weeks_with_labels(storage: str, classifier: str) -> list[str]:
    """Mondays of the weeks that have a table of this classifier's labels."""
    folders = Path(storage, LABELS_TABLE).glob(f"week=*/classifier={classifier}")
    return sorted(folder.parent.name.removeprefix("week=") for folder in folders)


def vectors_of(embeddings: pl.Series) -> npt.NDArray[np.float32]:
    """A column of embeddings as a matrix of shape [n, d]."""
    flat = embeddings.explode().to_numpy() if len(embeddings) else np.empty(0)
    return np.asarray(flat, dtype=np.float32).reshape(len(embeddings), -1 if len(embeddings) else 1)


def _week(
    storage: str,
    classifier: str,
    tasks: Sequence[str],
    prompt_fingerprint: str,
    shares: Mapping[str, float],
    week: str,
    gold: Gold | None,
) -> pl.DataFrame | None:
    """Columns content_hash, one per task, embedding, model, honest, whole; None without tables."""
    labels = _scan(partition_folder(storage, LABELS_TABLE, week, classifier))
    vectors = _scan(partition_folder(storage, VECTORS_TABLE, week))
    if labels is None or vectors is None:
        return None
    of_prompt = labels.filter(pl.col("prompt_fingerprint") == prompt_fingerprint)
    columns = ("conversation_id", "content_hash", "task", "label", "label_status", "model")
    said = of_prompt.select(columns).collect()
    versions = _versions(said)
    share = min((shares.get(version, 0.0) for version in versions), default=1.0)
    taught = _of_people(said, tasks, gold) if gold is not None else _of_model(said, tasks)
    hashes = taught["content_hash"].to_list()
    whole = gold is not None or not versions
    taught = taught.with_columns(
        honest=pl.Series([True] * len(hashes) if whole else chosen(hashes, share, ASKED_ANYWAY), dtype=pl.Boolean),
        whole=pl.lit(whole),
    )
    stored = vectors.filter(pl.col("content_hash").is_in(hashes)).select("content_hash", "embedding", "model")
    rows = taught.join(stored.collect(), on="content_hash", how="inner")
    return rows.select(
        "content_hash", *tasks, pl.col("embedding").cast(pl.List(pl.Float32)), "model", "honest", "whole"
    )


def _versions(said: pl.DataFrame) -> set[str]:
    """The students that answered some of these."""
    models = said.filter(pl.col("label_status") == PREDICTED)["model"].unique()
    return {str(model).removeprefix(PREDICTED_MARK) for model in models}


def _of_model(said: pl.DataFrame, tasks: Sequence[str]) -> pl.DataFrame:
    told = said.filter(~pl.col("label_status").is_in(UNTAUGHT), pl.col("label").is_not_null())
    return _by_task(told.unique(["content_hash", "task"], keep="any"), tasks)


def _of_people(said: pl.DataFrame, tasks: Sequence[str], gold: Gold) -> pl.DataFrame:
    """People's labels, by the conversation's id or its text's hash; texts that they label differently are left out."""
    named = [
        {"content_hash": row["content_hash"], "task": row["task"], "label": label}
        for row in said.select("conversation_id", "content_hash", "task").iter_rows(named=True)
        for of_task in (gold.get(row["task"], {}),)
        if (label := of_task.get(row["conversation_id"]) or of_task.get(row["content_hash"]))
    ]
    schema = {"content_hash": pl.String, "task": pl.String, "label": pl.String}
    told = pl.DataFrame(named, schema=schema).unique()
    return _by_task(told.filter(pl.struct("content_hash", "task").is_unique()), tasks)


def _by_task(told: pl.DataFrame, tasks: Sequence[str]) -> pl.DataFrame:
    """One row per content hash that has a label for every task, with a column for each."""
    rows = told.select("content_hash").unique(maintain_order=True)
    for task in tasks:
        own = told.filter(pl.col("task") == task).select("content_hash", pl.col("label").alias(task))
        rows = rows.join(own, on="content_hash", how="inner")
    return rows


def _scan(folder: Path) -> pl.LazyFrame | None:
    parts = sorted(folder.glob("*.parquet"))
    return pl.scan_parquet(parts, hive_partitioning=False, glob=False) if parts else None

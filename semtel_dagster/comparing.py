"""The answers of two versions of a prompt about the same conversations, for `semtel diff`.

Old answers stay in the journal under their fingerprint, and the prompt of then is kept, so that they can be read again
at no price. Only a sample of what the new prompt has not answered yet is asked about, and only when it is wanted; a
later backfill finds these answers in the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pyarrow as pa

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.datasets import partition_folder
from semtel_dagster.errors import SettingsError
from semtel_dagster.flows import TaskFlows, task_flows
from semtel_dagster.planning.conversations import stored
from semtel_dagster.planning.history import History
from semtel_dagster.planning.project import Project
from semtel_dagster.prompts.archive import keep, kept, recall
from semtel_dagster.repair import parser_for
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.requests.journal import Journal

ASK_ROWS = 512


@dataclass(frozen=True)
class Comparison:
    """Two versions of a prompt, side by side.

    Attributes:
        old: The earlier prompt.
        new: The later one.
        asked: Calls that were made for the comparison.
        unanswered: Conversations with an old answer and no new one; a sample of them can be asked about.
        tasks: How labels moved.
    """

    old: CompiledPrompt
    new: CompiledPrompt
    asked: int
    unanswered: int
    tasks: tuple[TaskFlows, ...]


def choose_prompts(
    project: Project, instance: dg.DagsterInstance, classifier: str, old: str | None, new: str | None
) -> tuple[CompiledPrompt, CompiledPrompt]:
    """The two versions: those named, else the prompt of now and the one that labels were last made with before it.

    Raises:
        SettingsError: There is no such version; the message names those there are.
    """
    current = project.prompts[classifier]
    later = current if new is None else _recalled(project, classifier, new)
    if old is not None:
        return _recalled(project, classifier, old), later
    made = History.read(instance).grid["responses"]
    recorded = [
        str(made[key].metadata.get("prompt_fingerprint"))
        for key in sorted(made, key=lambda key: -made[key].storage_id)
        if key[1] == classifier
    ]
    for fingerprint in [*recorded, *kept(project.settings.storage, classifier)]:
        earlier = recall(project.settings.storage, classifier, fingerprint)
        if fingerprint != later.fingerprint and earlier is not None:
            return earlier, later
    raise SettingsError(f"no earlier version of the prompt of {classifier!r} has answered anything yet")


def compare(
    project: Project, old: CompiledPrompt, new: CompiledPrompt, weeks: Sequence[str], sample: int | None = None
) -> Comparison:
    """Compares what both versions said.

    Args:
        project: Where tables and journals are, and who may be asked.
        old: The earlier version.
        new: The later version.
        weeks: Whose conversations.
        sample: So many conversations, the same every time; those that the new version has not answered are asked
            about. None: all that both have answered, without a call.
    """
    classifier = new.classifier.name
    weights = _weights(project.settings.storage, weeks)
    before = _answers(project, classifier, old.fingerprint, weights["content_hash"])
    answered = weights.filter(pl.col("content_hash").is_in(before["content_hash"].implode()))
    # Content hashes are uniform, so the smallest are a random sample, and the same one every time.
    chosen = answered.sort("content_hash").head(sample) if sample is not None else answered
    after = _answers(project, classifier, new.fingerprint, chosen["content_hash"])
    missing = chosen.filter(~pl.col("content_hash").is_in(after["content_hash"].implode()))
    asked = 0
    if sample is not None and not missing.is_empty():
        keep(new, project.settings.storage)
        asked = _ask(project, new, weeks, missing["content_hash"])
        after = _answers(project, classifier, new.fingerprint, chosen["content_hash"])
    compared = set(after["content_hash"])
    return Comparison(
        old,
        new,
        asked,
        chosen.height - len(compared),
        tuple(task_flows(_labels(project, old, before), _labels(project, new, after), weights)),
    )


def _recalled(project: Project, classifier: str, fingerprint: str) -> CompiledPrompt:
    names = kept(project.settings.storage, classifier)
    current = project.prompts[classifier]
    matching = sorted({name for name in (*names, current.fingerprint) if name.startswith(fingerprint)})
    if len(matching) != 1:
        raise SettingsError(
            f"{fingerprint!r} is {'no' if not matching else 'more than one'} version of the prompt of {classifier!r}; "
            f"there are: {', '.join(names) or 'none'}"
        )
    return recall(project.settings.storage, classifier, matching[0]) or current


def _weights(storage: str, weeks: Sequence[str]) -> pl.DataFrame:
    """Every distinct text of the weeks once, with the conversations it stands for."""
    tables = [found.table for week in weeks if (found := stored(storage, week)) is not None]
    if not tables:
        raise SettingsError("no week of these is prepared yet; start with: semtel run")
    weight = pl.col("group_weight").sum().alias("weight")
    return pl.concat(tables).group_by("content_hash").agg(weight).sort("content_hash")


def _answers(project: Project, classifier: str, fingerprint: str, hashes: pl.Series) -> pl.DataFrame:
    """The newest answers of any model under a fingerprint, as rows of RESPONSES."""
    journal = Journal(project.request_plan.journal, classifier, fingerprint)
    try:
        positions = journal.find(pa.array(hashes.to_list(), pa.large_string()), journal.models)
        return pl.DataFrame(journal.read(positions[np.asarray(positions) >= 0]))
    finally:
        journal.close()


def _ask(project: Project, prompt: CompiledPrompt, weeks: Sequence[str], hashes: pl.Series) -> int:
    """Asks about these texts; the answers go to the journal."""
    folders = [partition_folder(project.settings.storage, "distinct_conversations", week) for week in weeks]
    parts = sorted(part for folder in folders for part in Path(folder).glob("*.parquet"))
    texts = (
        pl.scan_parquet(parts, hive_partitioning=False)
        .select("content_hash", "text", "n_tokens")
        .filter(pl.col("content_hash").is_in(hashes.implode()))
        .unique("content_hash")
        .collect()
    )
    plan = replace(project.request_plan, budget=None)
    batches = iter(texts.to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches(ASK_ROWS))
    return sum(int(pl.DataFrame(batch)["attempts"].sum()) for batch in ClassifyBatches(prompt, plan)(batches))


def _labels(project: Project, prompt: CompiledPrompt, answers: pl.DataFrame) -> pl.DataFrame:
    batches = answers.to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches()
    parser = parser_for(prompt.classifier, project.settings.requests)
    parsed = [pl.DataFrame(batch) for batch in parser(iter(batches))]
    columns = ["content_hash", "task", "label", "label_status"]
    empty = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return pl.concat([empty, *(part.select(columns) for part in parsed)])

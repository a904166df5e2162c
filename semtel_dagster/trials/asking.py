"""Asking a prompt about texts through the request engine, and reading the answers.

An evaluation has a journal of its own, one folder per repeat: a repeat must be asked anew, and an evaluation that is
run again costs nothing. What the answers mean belongs in `measuring`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from semtel_dagster import tables
from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.evaluation.records import Usage, folder_of
from semtel_dagster.repair import AskAndRepair, parser_for
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.requests.figures import Figures
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import Price

Watch = Callable[[Figures], None]


@dataclass(frozen=True)
class Answers:
    """What one prompt said about some texts, once.

    Attributes:
        labels: By task, then content hash; None where the answer is invalid or missing.
        statuses: Answers by label_status, by task.
        models: The models' names as recorded with the answers.
        parser: The fingerprint of the parser that read them.
        usage: What it took.
    """

    labels: Mapping[str, Mapping[str, str | None]]
    statuses: Mapping[str, Mapping[str, int]]
    models: tuple[str, ...]
    parser: str
    usage: Usage


def ask(
    prompt: CompiledPrompt,
    plan: RequestPlan,
    texts: pa.Table,
    storage: str,
    *,
    repeats: int = 1,
    watch: Watch | None = None,
) -> list[Answers]:
    """Asks about every text, as often as wanted; what an earlier evaluation paid for is not asked again.

    Args:
        prompt: The classifier's prompt.
        plan: The endpoints, all of one model; its journal is replaced.
        texts: Columns content_hash, text, n_tokens.
        storage: Root of the dataset layout, under which the evaluations' journal lies.
        repeats: How often.
        watch: Gets live figures.

    Returns:
        One `Answers` per repeat.

    Raises:
        SettingsError: No endpoint can be called as it is configured.
    """
    return [
        _once(prompt, replace(plan, journal=journal_folder(storage, repeat)), texts, watch) for repeat in range(repeats)
    ]


def journal_folder(storage: str, repeat: int) -> str:
    """Where the answers of a repeat are kept."""
    return str(Path(folder_of(storage)) / "journal" / f"repeat-{repeat}")


def _once(prompt: CompiledPrompt, plan: RequestPlan, texts: pa.Table, watch: Watch | None) -> Answers:
    last = [Figures()]

    def see(figures: Figures) -> None:
        last[0] = figures
        if watch is not None:
            watch(figures)

    classify = AskAndRepair(ClassifyBatches(prompt, plan, see, texts.num_rows))
    responses = list(classify(iter(texts.combine_chunks().to_batches())))
    table = pa.Table.from_batches(responses, schema=tables.RESPONSES)
    parser = parser_for(prompt.classifier, plan.requests)
    rows = [row for batch in parser(iter(responses)) for row in batch.to_pylist()]
    tasks = [task.name for task in prompt.classifier.tasks]
    return Answers(
        labels={task: {row["content_hash"]: row["label"] for row in rows if row["task"] == task} for task in tasks},
        statuses={task: dict(Counter(row["label_status"] for row in rows if row["task"] == task)) for task in tasks},
        models=tuple(sorted({name for name in table.column("model").to_pylist() if name})),
        parser=parser.fingerprint,
        usage=_usage(table, last[0], [endpoint.price for endpoint in plan.endpoints]),
    )


def add_usage(one: Usage, other: Usage) -> Usage:
    """The usage of two repeats together; latency and unit cost are the first's."""
    names = ("conversations", "calls", "refused", "from_journal", "input_tokens", "cached_tokens", "output_tokens")
    sums = {name: getattr(one, name) + getattr(other, name) for name in (*names, "cost_usd", "seconds")}
    return replace(one, **sums)


def _usage(responses: pa.Table, figures: Figures, prices: list[Price]) -> Usage:
    rows = responses.num_rows
    sums = {
        name: int(pc.sum(responses.column(name)).as_py() or 0)
        for name in ("input_tokens", "cached_tokens", "output_tokens")
    }
    price = prices[0]
    cached = price.input if price.cached_input is None else price.cached_input
    fresh = sums["input_tokens"] - sums["cached_tokens"]
    cost = (fresh * price.input + sums["cached_tokens"] * cached + sums["output_tokens"] * price.output) / 1e6
    latency = responses.column("latency_s").combine_chunks().drop_null()
    ends = pc.quantile(latency, q=[0.5, 0.9]).to_pylist() if len(latency) else [None, None]
    return Usage(
        conversations=rows,
        calls=max(figures.calls, int(pc.sum(responses.column("attempts")).as_py() or 0)),  # with those of repairs
        refused=figures.refused,
        from_journal=figures.from_journal,
        cost_usd=figures.cost_usd,
        usd_per_thousand=1000 * cost / rows if rows and cost else None,
        latency_median_s=ends[0],
        latency_p90_s=ends[1],
        seconds=figures.seconds,
        **sums,
    )

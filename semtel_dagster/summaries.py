"""What a written table says in numbers: the metadata of a materialization, which the UI plots over weeks.

Numbers and label names only, never conversation text. Figures for people's eyes (tables, charts, the report) are
made in `reporting/`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
import narwhals as nw

from semtel_dagster.batches.batch import MARK as BATCH_MARK
from semtel_dagster.batches.batch import WAITING
from semtel_dagster.engines.base import Frame, count_rows
from semtel_dagster.identity import data_fingerprint, preparation_fingerprint
from semtel_dagster.reporting.charts import share_chart_png
from semtel_dagster.requests.plan import plan_for
from semtel_dagster.settings import Price, Settings
from semtel_dagster.surprisal.gguf import SPENT
from semtel_dagster.tables import WAS_COMPRESSED, WAS_CUT

Metadata = Mapping[str, Any]
MILLION = 1_000_000
NOBODY = "(none)"


@dataclass(frozen=True)
class Summaries:
    """Summarizes tables by their names; prices come from the settings."""

    settings: Settings

    def __call__(self, table: str, frame: Frame) -> Metadata:
        """The figures of one partition of a table; empty for a table that has none of its own."""
        summaries: dict[str, Callable[[Frame], Metadata]] = {
            "conversations": _conversations,
            "rejected_conversations": _rejected_conversations,
            "sampled_conversations": _sampled_conversations,
            "truncated_conversations": _truncated_conversations,
            "distinct_conversations": self.distinct_conversations,
            "duplicate_groups": _duplicate_groups,
            "responses": self.responses,
            "labels": _labels,
            "label_shares": _label_shares,
        }
        return summaries[table](frame) if table in summaries else {}

    def distinct_conversations(self, frame: Frame) -> Metadata:
        """What duplicates save; the fingerprints say which texts these are and by which settings they were chosen."""
        figures = _one(
            frame.select(
                conversations=nw.col("group_size").sum(),
                calls_saved_by_duplicates=(nw.col("group_size") - 1).sum(),
                largest_group=nw.col("group_size").max(),
            )
        )
        return figures | {
            "data_fingerprint": data_fingerprint(_values(frame, "content_hash")),
            "preparation_fingerprint": preparation_fingerprint(self.settings),
        }

    def responses(self, responses: Frame) -> dict[str, Any]:
        """Calls, refusals, retries, tokens and cost of the run that wrote the partition, in all and per endpoint.

        Answers that came from the journal made no call in this run and cost nothing in it. `models` and
        `data_fingerprint` say whose answers about which conversations these are; plans compare them. Answers of
        batches are told apart: they were paid for when their batch ended.
        """
        asked = ~nw.col("from_journal")
        per_endpoint = _rows(
            responses.with_columns(asked=asked.cast(nw.Int64))
            .group_by(nw.col("endpoint").fill_null(NOBODY))
            .agg(
                conversations=nw.len(),
                answered=(nw.col("status") == "answered").cast(nw.Int64).sum(),
                cached=nw.col("from_journal").cast(nw.Int64).sum(),
                calls=nw.col("attempts").cast(nw.Int64).sum(),
                refused=nw.col("refusals").cast(nw.Int64).sum(),
                retried=((nw.col("attempts") - nw.col("refusals") - 1).clip(0, None).cast(nw.Int64)).sum(),
                **{
                    tokens: (nw.col(tokens).fill_null(0).cast(nw.Int64) * nw.col("asked")).sum()
                    for tokens in ("input_tokens", "cached_tokens", "output_tokens")
                },
            )
        )
        prices = {endpoint.name: endpoint.price for endpoint in plan_for(self.settings).endpoints}
        for row in per_endpoint:
            row["cost_usd"] = cost_usd(row, prices.get(row["endpoint"], Price()))
        names = [name for name in (per_endpoint[0] if per_endpoint else {}) if name != "endpoint"]
        total = {name: sum(row[name] for row in per_endpoint) for name in names}
        answered = total.get("answered", 0)
        batched = self._batched(responses, per_endpoint, prices)
        failed = total.get("conversations", 0) - answered - int(batched.get("waiting", 0))
        identity = {
            "models": dg.MetadataValue.json(sorted(_values(responses.filter(nw.col("status") == "answered"), "model"))),
            "data_fingerprint": data_fingerprint(_values(responses, "content_hash")),
        }
        return total | batched | identity | {"failed": failed, "endpoints": _markdown(per_endpoint)}

    def _batched(
        self, responses: Frame, per_endpoint: list[dict[str, Any]], prices: Mapping[str, Price]
    ) -> dict[str, Any]:
        """Conversations that wait for a batch, and the answers that came by one, with what they cost whenever that was.

        Nothing where there are none of either.
        """
        came = sum(row["conversations"] for row in per_endpoint if row["endpoint"].endswith(BATCH_MARK))
        unanswered = any(row["endpoint"] == NOBODY for row in per_endpoint)
        waiting = count_rows(responses.filter(nw.col("status") == WAITING)) if unanswered else 0
        if not came and not waiting:
            return {}
        sums = {
            tokens: nw.col(tokens).fill_null(0).cast(nw.Int64).sum()
            for tokens in ("input_tokens", "cached_tokens", "output_tokens")
        }
        answers = _rows(responses.filter(nw.col("endpoint").str.ends_with(BATCH_MARK)).group_by("endpoint").agg(**sums))
        cost = sum(cost_usd(row, prices.get(row["endpoint"].removesuffix(BATCH_MARK), Price())) for row in answers)
        return {"waiting": waiting, "batched": came, "batched_cost_usd": cost * self.settings.batch.price_factor}


def cost_usd(tokens: Mapping[str, int], price: Price) -> float:
    """The price of so many input, cached and output tokens, in USD."""
    cached = tokens["cached_tokens"]
    cached_price = price.input if price.cached_input is None else price.cached_input
    fresh = tokens["input_tokens"] - cached
    return (fresh * price.input + cached * cached_price + tokens["output_tokens"] * price.output) / MILLION


def _conversations(frame: Frame) -> Metadata:
    return _one(frame.select(users=nw.col("user_id").n_unique(), languages=nw.col("language").n_unique()))


def _rejected_conversations(frame: Frame) -> Metadata:
    reasons = _rows(frame.group_by("reason").agg(rows=nw.len()).sort("rows", descending=True))
    of_this_week = _one(frame.select(of_this_week=(~nw.col("undated")).cast(nw.Int64).sum()))
    return of_this_week | ({"reasons": _markdown(reasons)} if reasons else {})


def _sampled_conversations(frame: Frame) -> Metadata:
    return _one(
        frame.select(
            conversations_represented=nw.col("sampling_weight").sum(),
            smallest_probability=nw.col("inclusion_probability").min(),
        )
    )


def _truncated_conversations(frame: Frame) -> Metadata:
    done = nw.col("truncation")
    figures = _one(
        frame.select(
            tokens=nw.col("n_tokens").cast(nw.Int64).sum(),
            tokens_before=nw.col("n_tokens_before").cast(nw.Int64).sum(),
            truncated=done.str.contains(WAS_CUT).cast(nw.Int64).sum(),
            compressed=done.str.contains(WAS_COMPRESSED).cast(nw.Int64).sum(),
        )
    )
    spent = SPENT.take()  # by this process: tasks of a cluster tell nobody
    told = {"perplexity_tokens": spent.tokens, "perplexity_seconds": round(spent.seconds, 1)} if spent.tokens else {}
    return {name: value for name, value in figures.items() if name != "compressed" or value} | told


def _duplicate_groups(frame: Frame) -> Metadata:
    return {f"{row['kind']}_rows": row["rows"] for row in _rows(frame.group_by("kind").agg(rows=nw.len()).sort("kind"))}


def _labels(frame: Frame) -> Metadata:
    """Rows by status, and conversations: invalid if any of their tasks is, unanswered if there was no answer."""
    statuses = _rows(frame.group_by("label_status").agg(rows=nw.len()).sort("label_status"))
    has = {name: (nw.col("label_status") == name).cast(nw.Int64).max() for name in ("invalid", "unanswered")}
    per_conversation = frame.group_by("conversation_id").agg(**has)
    conversations = _one(
        per_conversation.select(
            conversations=nw.len(),
            unanswered=nw.col("unanswered").sum(),
            invalid=((nw.col("invalid") == 1) & (nw.col("unanswered") == 0)).cast(nw.Int64).sum(),
        )
    )
    counts = {name: int(conversations.get(name, 0)) for name in ("conversations", "unanswered", "invalid")}
    answered = counts["conversations"] - counts["unanswered"] - counts["invalid"]
    unlabelled = 1 - answered / counts["conversations"] if counts["conversations"] else 0.0
    return (
        counts
        | {"answered": answered, "unlabelled_share": unlabelled}
        | {f"{row['label_status']}_labels": row["rows"] for row in statuses}
    )


def _label_shares(frame: Frame) -> Metadata:
    rows = _rows(frame.filter(nw.col("segment") == "all").drop("week", "classifier", strict=False))
    shares = {f"share: {row['task']} = {row['label']}": row["share"] for row in rows if row["share"] is not None}
    if not rows:
        return shares
    image = base64.b64encode(share_chart_png(rows)).decode()
    return shares | {"chart": dg.MetadataValue.md(f"![label shares](data:image/png;base64,{image})")}


def _values(frame: Frame, column: str) -> set[str]:
    return set(frame.select(column).unique().collect(backend="pyarrow").get_column(column).drop_nulls().to_list())


def _one(frame: Frame) -> dict[str, Any]:
    (row,) = _rows(frame)
    return {name: value for name, value in row.items() if value is not None}


def _rows(frame: Frame) -> list[dict[str, Any]]:
    return list(frame.collect(backend="pyarrow").rows(named=True))


def _markdown(rows: list[dict[str, Any]]) -> dg.MarkdownMetadataValue:
    if not rows:
        return dg.MetadataValue.md("none")
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += [
        "| "
        + " | ".join(f"{row[name]:,}" if isinstance(row[name], (int, float)) else str(row[name]) for name in names)
        + " |"
        for row in rows
    ]
    return dg.MetadataValue.md("\n".join(lines))

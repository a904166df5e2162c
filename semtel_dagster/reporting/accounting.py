"""What became of every conversation, and what the answers cost. Shares of labels belong in `shares.py`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from semtel_dagster.reporting.frames import count, read
from semtel_dagster.settings import EndpointSettings, Price
from semtel_dagster.tables import WAS_CUT

EMBEDDED = "embedded"


@dataclass(frozen=True)
class WeekAccounting:
    """Rows of a week, stage by stage; None where the stage has not run.

    Attributes:
        rejected: Rows of this week that broke the contract, by reason.
        undated: Rejected rows without a usable time; they belong to no week and are in none of the other counts.
        truncated: Conversations that were cut to the token budget.
        tokens: Tokens of all texts after cutting; `tokens_before`, before.
        exact_duplicates: Conversations answered by a word-for-word twin; `near_duplicates`, by a similar one.
    """

    week: dt.date
    conversations: int | None = None
    rejected: dict[str, int] = field(default_factory=dict)
    undated: int = 0
    sampled: int | None = None
    users: int | None = None
    truncated: int | None = None
    tokens: int | None = None
    tokens_before: int | None = None
    distinct: int | None = None
    exact_duplicates: int = 0
    near_duplicates: int = 0

    @property
    def source_rows(self) -> int | None:
        """Rows that the source holds for the week."""
        return None if self.conversations is None else self.conversations + sum(self.rejected.values())


@dataclass(frozen=True)
class Answerer:
    """A model behind an endpoint, and how many answers it gave."""

    model: str
    endpoint: str
    answers: int
    embedded: bool


@dataclass(frozen=True)
class ClassifierAccounting:
    """Calls, tokens and outcomes of one classifier in one week.

    Attributes:
        conversations: Labelled or not, every conversation of the sample.
        calls: Sent now, refused ones included; an answer from the journal is no call.
        answered: Conversations with a label for every task, likewise `invalid` and `unanswered`; they add up to
            `conversations`.
        cost_usd: By the endpoints' prices in the settings, for calls made now.
    """

    week: dt.date
    classifier: str
    conversations: int = 0
    calls: int = 0
    refused: int = 0
    retried: int = 0
    cached: int = 0
    answered: int = 0
    invalid: int = 0
    unanswered: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    answerers: tuple[Answerer, ...] = ()


def account_week(storage: str, week: dt.date) -> WeekAccounting:
    """Counts a week's rows in the weekly tables."""
    rejected = _by_reason(storage, week)
    return WeekAccounting(
        week,
        conversations=count(storage, "conversations", week),
        rejected={row["reason"]: row["n"] for row in rejected if not row["undated"]},
        undated=sum(row["n"] for row in rejected if row["undated"]),
        sampled=count(storage, "sampled_conversations", week),
        distinct=count(storage, "distinct_conversations", week),
        **_texts(storage, week),
        **_duplicates(storage, week),
    )


def account_classifier(
    storage: str, week: dt.date, classifier: str, endpoints: Sequence[EndpointSettings] = ()
) -> ClassifierAccounting:
    """Sums a classifier's answers and labels in a week; zeros where they have not been written.

    Args:
        storage: Root of the dataset layout.
        week: The partition's Monday.
        classifier: The partition's classifier.
        endpoints: The settings' endpoints, for prices and kinds.
    """
    by_endpoint = _responses(storage, week, classifier)
    prices = {endpoint.name: endpoint.price for endpoint in endpoints}
    names = ("calls", "refused", "retried", "cached", "input_tokens", "cached_tokens", "output_tokens")
    totals: dict[str, int] = {name: sum(row[name] for row in by_endpoint) for name in names}
    return ClassifierAccounting(
        week,
        classifier,
        **totals,
        **_outcomes(storage, week, classifier),
        cost_usd=sum(_cost(row, prices.get(row["endpoint"], Price())) for row in by_endpoint),
        answerers=_answerers(by_endpoint, endpoints),
    )


def _by_reason(storage: str, week: dt.date) -> list[dict[str, Any]]:
    rows = read(storage, "rejected_conversations", ["reason", "undated"], week)
    if rows is None:
        return []
    keys = ["reason", pl.col("undated").fill_null(False)]
    return rows.group_by(keys).agg(n=pl.len()).sort("n", "reason", descending=[True, False]).collect().to_dicts()


def _texts(storage: str, week: dt.date) -> dict[str, Any]:
    columns = ["conversation_id", "user_id", "n_tokens", "n_tokens_before", "truncation"]
    rows = read(storage, "truncated_conversations", columns, week)
    if rows is None:
        return {}
    return (
        rows.select(
            users=pl.coalesce("user_id", "conversation_id").n_unique(),
            truncated=pl.col("truncation").str.contains(WAS_CUT).sum(),
            tokens=pl.col("n_tokens").sum().cast(pl.Int64),
            tokens_before=pl.col("n_tokens_before").sum().cast(pl.Int64),
        )
        .collect()
        .to_dicts()[0]
    )


def _duplicates(storage: str, week: dt.date) -> dict[str, int]:
    rows = read(storage, "duplicate_groups", ["kind"], week)
    if rows is None:
        return {}
    kinds = dict(rows.group_by("kind").len().collect().iter_rows())
    return {"exact_duplicates": kinds.get("exact", 0), "near_duplicates": kinds.get("near", 0)}


def _responses(storage: str, week: dt.date, classifier: str) -> list[dict[str, Any]]:
    """Sums per model and endpoint; those of tokens and calls cover only what was asked now."""
    tokens = ["input_tokens", "cached_tokens", "output_tokens"]
    columns = ["model", "endpoint", "attempts", "refusals", "from_journal", "status", *tokens]
    rows = read(storage, "responses", columns, week, classifier)
    if rows is None:
        return []
    now = ~pl.col("from_journal").fill_null(False)
    attempts, refusals = pl.col("attempts").filter(now), pl.col("refusals").filter(now).fill_null(0)
    return (
        rows.group_by("model", "endpoint")
        .agg(
            *[pl.col(name).filter(now).sum() for name in tokens],
            answers=(pl.col("status") == "answered").sum(),
            calls=attempts.sum(),
            refused=refusals.sum(),
            retried=(attempts - refusals - 1).clip(lower_bound=0).sum(),
            cached=(~now).sum(),
        )
        .sort("answers", "model", "endpoint", descending=[True, False, False])
        .collect()
        .to_dicts()
    )


def _outcomes(storage: str, week: dt.date, classifier: str) -> dict[str, int]:
    rows = read(storage, "labels", ["conversation_id", "label_status"], week, classifier)
    if rows is None:
        return {}
    unanswered, invalid = ((pl.col("label_status") == status).any() for status in ("unanswered", "invalid"))
    per_conversation = rows.group_by("conversation_id").agg(unanswered=unanswered, invalid=~unanswered & invalid)
    sums = per_conversation.select(pl.len(), pl.col("unanswered", "invalid").sum()).collect().to_dicts()[0]
    answered = sums["len"] - sums["unanswered"] - sums["invalid"]
    return {
        "conversations": sums["len"],
        "answered": answered,
        "invalid": sums["invalid"],
        "unanswered": sums["unanswered"],
    }


def _cost(row: dict[str, Any], price: Price) -> float:
    cached_price = price.input if price.cached_input is None else price.cached_input
    fresh = row["input_tokens"] - row["cached_tokens"]
    return float(fresh * price.input + row["cached_tokens"] * cached_price + row["output_tokens"] * price.output) / 1e6


def _answerers(rows: list[dict[str, Any]], endpoints: Sequence[EndpointSettings]) -> tuple[Answerer, ...]:
    embedded = {endpoint.name for endpoint in endpoints if endpoint.kind == EMBEDDED} | {EMBEDDED}
    return tuple(
        Answerer(row["model"] or "(unknown)", row["endpoint"] or "(none)", row["answers"], row["endpoint"] in embedded)
        for row in rows
        if row["answers"]
    )

r"""The sampling stage: which conversations of a week are labelled, and with which weight.

Every conversation has a draw in [0, 1), a hash of the seed and its id: the same in every run, on either engine,
however rows are batched.

1. *Stratum.* Of a stratum with N conversations, a rate r takes the draws below r (probability r), a target count
   k the k smallest draws (simple random sampling, probability k / N). With both, the tighter of the two holds.
2. *Cap per user.* Of a user's m conversations that step 1 took, the c with the smallest scaled draws stay. A draw
   is scaled by its stratum's threshold (r, or the (k+1)-th smallest draw): given that step 1 took them, scaled draws
   are independent and uniform whatever their strata, so each of the m stays with probability min(1, c / m).
   Conversations without a user are not capped.

`inclusion_probability` is the product of both, the second given the first (two-phase sampling; Särndal, Swensson
and Wretman, *Model Assisted Survey Sampling*, ch. 9), and `sampling_weight` its inverse. Sums of weights, and of
values times weights, estimate a week's totals without bias (the double expansion estimator).

A larger rate or count gives a superset; under a cap, as long as all strata grow in proportion (a single rate, a
single count). Deciding needs only ids, users and strata in memory, and of these only thresholds and heavy users
are kept: texts stream through once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import narwhals as nw
import pyarrow as pa

from semtel_dagster.engines.base import Engine, Frame
from semtel_dagster.errors import SettingsError
from semtel_dagster.settings import SampleSettings, Stratum
from semtel_dagster.tables import CONVERSATIONS, SAMPLED_CONVERSATIONS

REST = "rest"

_DRAWS = pa.schema([("user_id", pa.large_string()), ("stratum", pa.large_string()), ("draw", pa.float64())])


@dataclass(frozen=True)
class Threshold:
    """What step 1 does in a stratum: takes draws below `value`, each with the same probability."""

    value: float
    probability: float


@dataclass(frozen=True)
class UserCap:
    """What step 2 does to a user with too many: keeps scaled draws up to `value`, each with the same probability."""

    value: float
    probability: float


def sample(conversations: Frame, options: SampleSettings, engine: Engine) -> Frame:
    """Samples a week's conversations.

    Lazy for rates; a target count or a cap per user first reads ids, users and strata once.

    Args:
        conversations: Rows of `tables.CONVERSATIONS`, ids unique.
        options: Rates, counts, strata, cap and seed.
        engine: Runs the row functions.

    Returns:
        Rows of `tables.SAMPLED_CONVERSATIONS`, in the order of the conversations.

    Raises:
        SettingsError: Two strata have one name, or one is called "rest".
    """
    thresholds = _thresholds(conversations, options, engine)
    user_caps = _user_caps(conversations, options, thresholds, engine)
    select = SelectConversations(options, thresholds, user_caps)
    return engine.map_batches(conversations.select(*CONVERSATIONS.names), select, SAMPLED_CONVERSATIONS)


def draw(seed: int, conversation_id: str) -> float:
    """A conversation's draw: uniform in [0, 1), a function of its arguments alone (blake2b)."""
    digest = hashlib.blake2b(conversation_id.encode(), digest_size=8, key=str(seed).encode()).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


@dataclass(frozen=True)
class Strata:
    """Tells the stratum of each row of a batch.

    A stratum's column is one of the table, or else a key of `extra`.
    """

    strata: tuple[Stratum, ...]

    @property
    def columns(self) -> list[str]:
        """The columns of the table that telling needs."""
        return sorted({s.column if s.column in CONVERSATIONS.names else "extra" for s in self.strata})

    def of(self, batch: pa.RecordBatch) -> list[str]:
        """The name of each row's stratum: the first that fits, or "rest"."""
        names = [REST] * batch.num_rows
        for stratum in reversed(self.strata):
            for index, value in enumerate(_values(batch, stratum.column)):
                if value in stratum.values:
                    names[index] = stratum.name
        return names


@dataclass(frozen=True)
class DrawConversations:
    """Row function: the user, stratum and draw of each conversation; step 1 if there are thresholds."""

    options: SampleSettings
    thresholds: dict[str, Threshold] | None = None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches of conversations to batches of draws; scaled draws if there are thresholds."""
        for batch in batches:
            strata = Strata(self.options.strata).of(batch)
            ids, users = batch.column("conversation_id").to_pylist(), batch.column("user_id").to_pylist()
            draws = [draw(self.options.seed, conversation_id) for conversation_id in ids]
            rows = list(zip(users, strata, draws, strict=True))
            if self.thresholds is not None:
                limits = {name: threshold.value for name, threshold in self.thresholds.items()}
                rows = [(user, name, at / limits[name]) for user, name, at in rows if at < limits[name]]
            columns = list(zip(*rows, strict=True)) or [(), (), ()]
            yield pa.RecordBatch.from_arrays(
                [pa.array(column, kind) for column, kind in zip(columns, _DRAWS.types, strict=True)], schema=_DRAWS
            )


@dataclass(frozen=True)
class SelectConversations:
    """Row function: the sampled conversations with stratum, probability and weight."""

    options: SampleSettings
    thresholds: dict[str, Threshold]
    user_caps: dict[str, UserCap] = field(default_factory=dict)

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches of conversations to batches of sampled ones."""
        for batch in batches:
            strata = Strata(self.options.strata).of(batch)
            ids, users = batch.column("conversation_id").to_pylist(), batch.column("user_id").to_pylist()
            rows = zip(ids, users, strata, strict=True)
            probabilities = [self._probability(*row) for row in rows]
            kept = pa.array([probability > 0 for probability in probabilities])
            columns = [column.cast(kind) for column, kind in zip(batch.columns, CONVERSATIONS.types, strict=True)]
            columns.append(pa.array(strata, pa.large_string()))
            columns.append(pa.array(probabilities, pa.float64()))
            columns.append(pa.array([1 / probability if probability else 0.0 for probability in probabilities]))
            yield pa.RecordBatch.from_arrays(columns, schema=SAMPLED_CONVERSATIONS).filter(kept)

    def _probability(self, conversation_id: str, user_id: str | None, stratum: str) -> float:
        threshold = self.thresholds[stratum]
        at = draw(self.options.seed, conversation_id)
        if at >= threshold.value:
            return 0.0
        cap = self.user_caps.get(user_id) if user_id is not None else None
        if cap is None:
            return threshold.probability
        return threshold.probability * cap.probability if at / threshold.value <= cap.value else 0.0


def _thresholds(conversations: Frame, options: SampleSettings, engine: Engine) -> dict[str, Threshold]:
    names = [stratum.name for stratum in options.strata]
    if len({*names, REST}) <= len(names):
        raise SettingsError(f"sample.strata: names must differ, and none may be {REST!r}; got {', '.join(names)}")
    rest = Stratum(name=REST, values=(), rate=options.rate, per_week=options.per_week)
    general = {"rate": options.rate, "per_week": None}
    plans = [s if s.rate or s.per_week else s.model_copy(update=general) for s in options.strata]
    plans = [*plans, rest]
    if all(plan.per_week is None for plan in plans):
        return {plan.name: Threshold(plan.rate or 1.0, plan.rate or 1.0) for plan in plans}
    draws = _draws(conversations, options, None, engine)
    counted = draws.group_by("stratum").agg(nw.len().alias("n")).collect().to_arrow().to_pylist()
    counts = {row["stratum"]: row["n"] for row in counted}
    return {plan.name: _threshold(plan, counts.get(plan.name, 0), draws) for plan in plans}


def _threshold(plan: Stratum, count: int, draws: Frame) -> Threshold:
    rate = plan.rate or 1.0
    if plan.per_week is None or count == 0 or plan.per_week / count >= rate:
        return Threshold(rate, rate)
    stratum = draws.filter(nw.col("stratum") == plan.name).select("draw")
    smallest = stratum.sort("draw").head(plan.per_week + 1).collect().to_arrow().column("draw").to_pylist()
    return Threshold(max(smallest), plan.per_week / count)


def _user_caps(
    conversations: Frame, options: SampleSettings, thresholds: dict[str, Threshold], engine: Engine
) -> dict[str, UserCap]:
    cap = options.max_per_user
    if cap is None:
        return {}
    draws = _draws(conversations, options, thresholds, engine).filter(~nw.col("user_id").is_null())
    heavy = (
        draws.with_columns(nw.len().over("user_id").alias("n"))
        .filter(nw.col("n") > cap)
        .with_columns(nw.col("draw").rank("ordinal").over("user_id").alias("place"))
        .filter(nw.col("place") == cap)
        .select("user_id", "n", "draw")
    )
    rows: list[dict[str, Any]] = heavy.collect().to_arrow().to_pylist()
    return {row["user_id"]: UserCap(row["draw"], cap / row["n"]) for row in rows}


def _draws(
    conversations: Frame, options: SampleSettings, thresholds: dict[str, Threshold] | None, engine: Engine
) -> Frame:
    columns = sorted({"conversation_id", "user_id", *Strata(options.strata).columns})
    return engine.map_batches(conversations.select(*columns), DrawConversations(options, thresholds), _DRAWS)


def _values(batch: pa.RecordBatch, column: str) -> list[Any]:
    if column in batch.schema.names:
        return list(batch.column(column).to_pylist())
    return [None if extra is None else json.loads(extra).get(column) for extra in batch.column("extra").to_pylist()]

"""What a call takes: tokens, price and time, learned from the answers that are there.

Belongs here: rates per call. Which calls are to be made belongs in `plan`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dagster as dg
import polars as pl

from semtel_dagster.batches.batch import MARK
from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.datasets import partition_folder
from semtel_dagster.planning.conversations import stored
from semtel_dagster.planning.history import History
from semtel_dagster.planning.project import Project
from semtel_dagster.prompts.archive import recall
from semtel_dagster.prompts.loader import count_tokens
from semtel_dagster.settings import EndpointSettings, Price

MOST_WEEKS = 3
MOST_RUNS = 10
MILLION = 1_000_000
# A chat's markup as OpenAI documents it: three tokens a message and its role, three before the answer.
TOKENS_PER_MESSAGE, TOKENS_PER_ANSWER = 4, 3
_ANSWER_COLUMNS = ("content_hash", "prompt_fingerprint", "model", "endpoint", "status", "input_tokens",
                   "cached_tokens", "output_tokens")  # fmt: skip


@dataclass(frozen=True)
class Rates:
    """What a call of one classifier takes, on average.

    Attributes:
        fixed_tokens: Input tokens of everything but the transcript: prompt, markup, schema.
        output_tokens: Tokens of an answer.
        cached_share: Of the input tokens, served from a prompt cache.
        price: USD per million tokens, over the endpoints as calls spread over them.
        counted: Share of the calls that go to endpoints that count tokens; the embedded model does not.
    """

    fixed_tokens: float
    output_tokens: float
    cached_share: float
    price: Price
    counted: float

    def input_tokens(self, calls: int, transcript_tokens: int) -> int:
        """Input tokens of so many calls over so many tokens of transcripts."""
        return round(self.counted * (transcript_tokens + calls * self.fixed_tokens))

    def cost_usd(self, calls: int, transcript_tokens: int) -> float:
        """Their price."""
        tokens = self.input_tokens(calls, transcript_tokens)
        return self.price_of(tokens, self.counted * calls * self.output_tokens)

    def price_of(self, input_tokens: float, output_tokens: float) -> float:
        """What so many tokens cost, in USD, cached ones at their usual share."""
        cached = self.price.input if self.price.cached_input is None else self.price.cached_input
        blended = self.cached_share * cached + (1 - self.cached_share) * self.price.input
        return (input_tokens * blended + output_tokens * self.price.output) / MILLION


def rates_of(project: Project, history: History, classifier: str) -> Rates:
    """The rates of a classifier: from its newest answers by the current models, else from what the prompt says."""
    prompt = project.prompts[classifier]
    endpoints = project.request_plan.endpoints
    counting = [endpoint for endpoint in endpoints if endpoint.kind != "embedded"]
    answers = pl.concat([_NO_ANSWERS, *_answers(project, history, classifier, counting)])
    shares = _shares(endpoints, answers)
    markup = TOKENS_PER_ANSWER + TOKENS_PER_MESSAGE * len(prompt.messages)
    tokens = int(answers["input_tokens"].sum())
    return Rates(
        fixed_tokens=prompt.static_tokens + _mean(answers["markup"], markup),
        output_tokens=_mean(answers["output_tokens"], answer_tokens(prompt)),
        cached_share=int(answers["cached_tokens"].sum()) / tokens if tokens else 0.0,
        price=_price(counting, shares),
        counted=sum(shares[endpoint.name] for endpoint in counting),
    )


def seconds_per_call(instance: dg.DagsterInstance, history: History) -> float | None:
    """How long a call took in the newest runs that made any, all endpoints and parallel calls together.

    None while no call was ever made.
    """
    made = [made for made in history.grid["responses"].values() if made.metadata.get("calls")]
    seconds = calls = 0.0
    for run in sorted(made, key=lambda run: -run.storage_id)[:MOST_RUNS]:
        for step in instance.get_run_step_stats(run.run_id, ["responses"]):
            if step.start_time and step.end_time:
                seconds += step.end_time - step.start_time
                calls += int(run.metadata["calls"])
    return seconds / calls if calls else None


_NO_ANSWERS = pl.DataFrame(
    schema={"endpoint": pl.String, "input_tokens": pl.Int64, "cached_tokens": pl.Int64, "output_tokens": pl.Int64,
            "markup": pl.Int64}
)  # fmt: skip


def _answers(
    project: Project, history: History, classifier: str, endpoints: Sequence[EndpointSettings]
) -> Iterator[pl.DataFrame]:
    """Columns of _NO_ANSWERS for the newest weeks that the current models answered."""
    weeks = sorted((week for week, name in history.grid["responses"] if name == classifier), reverse=True)
    models = {endpoint.model for endpoint in endpoints}
    found = 0
    for week in weeks:
        parts = sorted(partition_folder(project.settings.storage, "responses", week, classifier).glob("*.parquet"))
        asked = stored(project.settings.storage, week)
        if not parts or asked is None:
            continue
        answers = (
            pl.scan_parquet(parts, hive_partitioning=False)
            .select(_ANSWER_COLUMNS)
            .with_columns(pl.col("endpoint").str.strip_suffix(MARK))
            .filter(pl.col("status") == "answered", pl.col("model").is_in(list(models)), pl.col("input_tokens") > 0)
            .collect()
        )
        if not answers.is_empty():
            yield _with_markup(project, classifier, answers, asked.table)
            found += 1
        if found == MOST_WEEKS:
            return


def _with_markup(project: Project, classifier: str, answers: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """Adds what a call's input held besides the prompt's static text and the transcript."""
    static = {prompt.fingerprint: prompt.static_tokens for prompt in (project.prompts[classifier],)}
    for fingerprint in set(answers["prompt_fingerprint"]) - static.keys():
        old = recall(project.settings.storage, classifier, fingerprint)
        static |= {fingerprint: old.static_tokens} if old else {}
    joined = answers.join(asked.select("content_hash", "n_tokens"), on="content_hash", how="inner")
    prompt_tokens = pl.col("prompt_fingerprint").replace_strict(static, default=None, return_dtype=pl.Int64)
    columns = joined.with_columns(markup=pl.col("input_tokens") - pl.col("n_tokens") - prompt_tokens)
    return columns.select(pl.col(name).cast(kind) for name, kind in _NO_ANSWERS.schema.items())


def _shares(endpoints: Sequence[EndpointSettings], answers: pl.DataFrame) -> dict[str, float]:
    """The share of calls that goes to each endpoint: as it was, else alike."""
    counts = dict(answers.group_by("endpoint").len().iter_rows())
    total = sum(counts.get(endpoint.name, 0) for endpoint in endpoints)
    if not total:
        return {endpoint.name: 1 / len(endpoints) for endpoint in endpoints}
    return {endpoint.name: counts.get(endpoint.name, 0) / total for endpoint in endpoints}


def _price(endpoints: Sequence[EndpointSettings], shares: dict[str, float]) -> Price:
    total = sum(shares[endpoint.name] for endpoint in endpoints)
    if not total:
        return Price()

    def blend(prices: list[float]) -> float:
        return sum(shares[endpoint.name] * price for endpoint, price in zip(endpoints, prices, strict=True)) / total

    each = [endpoint.price for endpoint in endpoints]
    return Price(
        input=blend([price.input for price in each]),
        cached_input=blend([price.input if price.cached_input is None else price.cached_input for price in each]),
        output=blend([price.output for price in each]),
    )


def _mean(values: pl.Series, default: float) -> float:
    mean = values.mean()
    return float(mean) if isinstance(mean, (int, float)) else default


def answer_tokens(prompt: CompiledPrompt) -> float:
    """Tokens of the answer that the schema asks for, over its labels."""
    total = float(TOKENS_PER_ANSWER)
    for task in prompt.classifier.tasks:
        answers = [json.dumps({task.name: label.name}) for label in task.labels]
        total += sum(count_tokens(answer) for answer in answers) / len(answers)
        total += count_tokens(json.dumps({task.score.field: task.score.maximum})) if task.score else 0
    return total

"""The sections of `semtel.yaml`: one frozen model each, with its defaults and bounds.

Belongs here: what a section may hold. The whole, how it is read and what its sections must agree on belong in
`settings`, from which these are imported; the switches that save tokens belong in `reducers`.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceSettings(_Section):
    """Where conversations come from, and how their columns are named."""

    path: str = "conversations/*.parquet"
    format: Literal["semtel", "wildchat", "lmsys", "sharegpt", "openai-export"] = "semtel"
    columns: dict[str, str] = Field(default_factory=dict, description="own names -> contract names")
    max_message_bytes: int = Field(4_000_000, ge=1_000, description="a longer message is quarantined")


class Stratum(_Section):
    """A part of the population with its own rate or target count.

    Conversations whose `column` has one of `values` belong to it; the first stratum that fits wins, and
    what fits none is the stratum "rest" under the general rate.
    """

    name: str
    column: str = "language"
    values: tuple[str, ...]
    rate: float | None = Field(None, gt=0, le=1)
    per_week: int | None = Field(None, ge=1)


class SampleSettings(_Section):
    """How many conversations of a week are labelled."""

    rate: float = Field(1.0, gt=0, le=1)
    per_week: int | None = Field(None, ge=1)
    strata: tuple[Stratum, ...] = ()
    max_per_user: int | None = Field(None, ge=1)
    seed: int = 0


class TruncateSettings(_Section):
    """How a transcript is cut to its token budget."""

    max_tokens: int = Field(2000, ge=16)
    strategy: Literal["head", "tail", "head_tail", "last_turns"] = "head_tail"
    last_turns: int = Field(6, ge=1)
    max_message_tokens: int | None = Field(None, ge=8)


class DedupeSettings(_Section):
    """How near two conversations must be to share one answer."""

    threshold: float = Field(0.95, gt=0, le=1)
    embedding: str = Field("embedded", description="embedded | an endpoint's name | none (exact duplicates only)")
    earlier_weeks: int = Field(0, ge=0, description="weeks before, whose representatives also stand for new texts")


class AggregateSettings(_Section):
    """Disclosure control and segments of the weekly shares."""

    min_conversations: int = Field(15, ge=1)
    min_users: int = Field(5, ge=1)
    segments: tuple[str, ...] = Field((), description="columns to break shares down by: language, stratum")
    confidence: float = Field(0.95, gt=0.5, lt=1)


class Price(_Section):
    """USD per million tokens."""

    input: float = Field(0.0, ge=0)
    cached_input: float | None = Field(None, ge=0)
    output: float = Field(0.0, ge=0)


class EndpointSettings(_Section):
    """A model behind an address (or in this process)."""

    name: str
    kind: Literal["openai", "azure", "embedded"] = "openai"
    base_url: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    api_version: str | None = Field(None, description="azure: set for deployment paths, unset for the v1 path")
    requests_per_minute: int | None = Field(None, ge=1)
    tokens_per_minute: int | None = Field(None, ge=1)
    max_in_flight: int | None = Field(None, ge=1)
    http2: bool = Field(False, description="over TLS: a connection per hundred calls; losing one fails all of them")
    price: Price = Price()

    @model_validator(mode="after")
    def _address_is_known(self) -> EndpointSettings:
        if self.kind != "embedded" and not self.base_url:
            raise ValueError(f"endpoint {self.name!r} of kind {self.kind!r} needs base_url")
        if self.kind != "embedded" and not self.model:
            raise ValueError(f"endpoint {self.name!r} of kind {self.kind!r} needs model")
        return self

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, given: str | None) -> str | None:
        parts = urlsplit(given or "http://unset")
        if parts.username or parts.password:
            raise PydanticCustomError("login", "a login does not belong in the address; name the key in api_key_env")
        if parts.scheme not in {"http", "https"} or not parts.hostname or " " in str(given):
            raise ValueError("an address starts with http:// or https:// and a host, e.g. http://localhost:8000/v1")
        if parts.query:
            raise ValueError("leave out what follows the question mark; azure's version goes into api_version")
        return given


def _repair_of(value: object) -> object:
    """The words for yes and no stand for asking again and for nothing."""
    yes_or_no = {"true": "ask", "1": "ask", "yes": "ask", "on": "ask", "false": "none", "0": "none", "no": "none"}
    return yes_or_no.get(str(value).casefold(), value)


class RequestSettings(_Section):
    """How the request engine behaves on every endpoint."""

    timeout_s: float = Field(60.0, gt=0)
    flush_s: float = Field(1.0, gt=0)
    max_in_flight: int | None = Field(None, ge=1)
    max_attempts: int = Field(6, ge=1, description="tries of one conversation; refusals by rate do not count")
    repair: Annotated[Literal["ask", "nearest", "none"], BeforeValidator(_repair_of)] = Field(
        "none", description="an answer without a label: ask again once, take the nearest definition's, or leave it"
    )


class ReportSettings(_Section):
    """What the weekly report shows."""

    title: str = "Semantic telemetry"
    weeks: int = Field(12, ge=1, description="weeks of history in the trend charts")
    webhook_env: str | None = Field(None, description="variable with the address that weekly summaries are posted to")


class BackfillSettings(_Section):
    """The standing budget of the sensor `catch_up`, which is stopped by default."""

    max_cost_per_week: float | None = Field(None, ge=0, description="USD a calendar week; unset: no cap by cost")
    max_calls_per_week: int | None = Field(None, ge=0, description="calls a calendar week; unset: no cap by calls")
    max_retries: int = Field(2, ge=0, description="tries of a failed partition beyond the first")

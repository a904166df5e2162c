"""The script of a loopback server: how fast it is, what it limits, how it fails, what it answers.

Values only: the behaviour behind each belongs in the module of its name (limits, faults, answers, schedule).
Probabilities are shares of calls from 0 to 1, times are seconds.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Field(0.0, ge=0.0, le=1.0)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Latency(_Part):
    """How long an answer takes: log-normal, plus a time per output token, longer under load.

    With n calls in service the time is multiplied by max(1, n / full_speed) ** overload: throughput grows up to
    `full_speed` calls at once, peaks there, and falls beyond it (overload 1 would keep it level).
    """

    median_s: float = Field(0.0, ge=0)
    sigma: float = Field(0.0, ge=0, description="of the logarithm; 0.4 to 0.6 is usual of hosted models")
    per_output_token_s: float = Field(0.0, ge=0)
    full_speed: int | None = Field(None, ge=1, description="the knee: calls served at full speed at once")
    overload: float = Field(1.5, ge=1)


class Limits(_Part):
    """Request and token quotas of one minute, and the window they are enforced on.

    `bucket` refills steadily and holds a window's worth (or `burst_requests`, `burst_tokens`); `fixed_window`
    grants a window's worth anew at each window's start, and knows no burst.
    """

    requests_per_minute: float | None = Field(None, gt=0)
    tokens_per_minute: float | None = Field(None, gt=0)
    window_s: float = Field(60.0, gt=0, description="1 means: 600 a minute are 10 in any second")
    enforcement: Literal["bucket", "fixed_window"] = "bucket"
    burst_requests: float | None = Field(None, ge=1)
    burst_tokens: float | None = Field(None, ge=1)
    tokens_judged: Literal["arrival", "usage"] = Field(
        "arrival", description="arrival: prompt + max_tokens are charged for good; usage: corrected at the answer"
    )
    refusals_count: bool = Field(False, description="a refused request uses up quota too")
    max_in_flight: int | None = Field(None, ge=1, description="more calls in service at once are refused")
    headers: Literal["openai", "ten_second", "lying", "none"] = "openai"
    lie: float = Field(10.0, gt=0, description="lying headers claim so many times the true limit, all of it left")
    retry_after: Literal["seconds", "ms", "both", "neither"] = "seconds"


class Faults(_Part):
    """What goes wrong, as the share of calls it strikes; the shares together are at most 1.

    The row's own faults (filtered_400, filtered_200, context_length, invalid_422) strike the same conversations
    at every call; the others are drawn anew for each call of a conversation. `sticky` changes that. Every draw is
    a hash of (seed, conversation, its nth call), so it does not depend on the order of arrival.
    """

    error_500: float = Share
    error_503: float = Share
    hang: float = Share
    reset: float = Share
    cut: float = Field(0.0, ge=0, le=1, description="the connection ends in the middle of the reply's body")
    trickle: float = Share
    truncated: float = Field(0.0, ge=0, le=1, description="a complete HTTP reply whose JSON ends early")
    html_200: float = Field(0.0, ge=0, le=1, description="an HTML page with status 200, as a proxy sends it")
    html_502: float = Share
    content_type: float = Field(0.0, ge=0, le=1, description="the right JSON, declared as text/plain")
    refused_429: float = Field(0.0, ge=0, le=1, description="refused though the quota has room")
    filtered_400: float = Field(0.0, ge=0, le=1, description="Azure's content filter refuses the prompt")
    filtered_200: float = Field(0.0, ge=0, le=1, description="an answer cut off with finish_reason content_filter")
    context_length: float = Share
    invalid_422: float = Share

    sticky: Literal["row", "all", "none"] = "row"
    first_calls: int | None = Field(None, ge=1, description="only the first n calls of a conversation can meet one")
    hang_s: float = Field(3600.0, gt=0, description="then the connection is closed")
    trickle_s: float = Field(30.0, gt=0, description="what a trickled reply takes beyond its latency")

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        total = sum(share for _, share in self.shares())
        if total > 1 + 1e-9:
            raise ValueError(f"the fault shares add up to {total:g}; together they must be at most 1")
        return self

    def shares(self) -> list[tuple[str, float]]:
        """The faults that can strike, in the order of the fields, with their shares."""
        return [(name, getattr(self, name)) for name in FAULT_KINDS if getattr(self, name)]


FAULT_KINDS: tuple[str, ...] = tuple(
    name for name in Faults.model_fields if name not in {"sticky", "first_calls", "hang_s", "trickle_s"}
)
ROW_FAULTS: tuple[str, ...] = ("filtered_400", "filtered_200", "context_length", "invalid_422")


class Phase(_Part):
    """What changes at `at_s` and holds until the next phase begins."""

    at_s: float = Field(ge=0)
    capacity: float = Field(1.0, gt=0, description="multiplies the limits and the knee")
    slow: float = Field(1.0, gt=0, description="multiplies the time of an answer")
    down: Literal["unavailable", "reset", "hang"] | None = Field(None, description="every call: 503, reset or silence")
    faults: Faults | None = Field(None, description="unset: the script's faults")


class Answers(_Part):
    """What a successful call says.

    - `echo_labels`: a valid answer by the request's JSON schema, chosen by a hash of the transcript.
    - `fixed`: always `text`.
    - `dirty`: as `echo_labels`, but a `dirty_share` of the conversations is answered as real models do: fences,
      prose, other cases, single quotes, labels nobody offered.
    - `confusion`: the label that `truth` holds with probability `accuracy`, else another one of the schema.
    """

    style: Literal["echo_labels", "fixed", "dirty", "confusion"] = "echo_labels"
    text: str = '{"label": "other"}'
    dirty_share: float = Field(0.2, ge=0, le=1)
    truth: dict[str, str | dict[str, str]] = Field(
        default_factory=dict,
        description="transcript, or its blake2b-16 in hex -> label, or task -> label",
    )
    accuracy: float = Field(0.8, ge=0, le=1)
    json_schema: dict[str, Any] | None = Field(
        None, description="for requests that bring none; else the last schema seen with the same system message"
    )


class BatchWork(_Part):
    """What becomes of batches: how long they take, how they end, what is refused.

    `outcomes` are taken in turn. A batch that ends as expired or cancelled has worked off a `done_share` of its
    requests; a failed one did not pass validation and has worked off none.
    """

    served: bool = Field(True, description="False: the server knows neither files nor batches")
    delay_s: float = Field(0.0, ge=0, description="from its creation to its end")
    outcomes: tuple[Literal["completed", "expired", "cancelled", "failed"], ...] = Field(("completed",), min_length=1)
    done_share: float = Field(0.5, ge=0, le=1)
    row_error_share: float = Field(0.0, ge=0, le=1, description="requests that end as errors though the batch is whole")
    lost_error_lines: float = Field(0.0, ge=0, le=1, description="of the error file's lines, so many never come")
    max_enqueued_tokens: int | None = Field(None, ge=1, description="prompt tokens of all open batches")
    quota_refused_at: Literal["create", "validation"] = "validation"
    max_requests: int = Field(50_000, ge=1)
    slow_upload_s: float = Field(0.0, ge=0, description="an upload's reply comes late; the file is there")
    slow_create_s: float = Field(0.0, ge=0, description="a creation's reply comes late; the batch is there")


class PackWork(_Part):
    """How a prompt with several conversations is answered: what company costs, and what strikes its answers.

    A label of a pack of n conversations is another than the single call's with probability
    `size_loss` * (n - 1) + `position_loss` * place, where place runs from 0 to 1. The other shares are of calls.
    """

    size_loss: float = Field(0.0, ge=0, le=1)
    position_loss: float = Field(0.0, ge=0, le=1)
    cut: float = Field(0.0, ge=0, le=1, description="the answer ends early, with finish_reason length")
    reordered: float = Share
    duplicated: float = Field(0.0, ge=0, le=1, description="a conversation is answered twice, alike")
    contradicted: float = Field(0.0, ge=0, le=1, description="a conversation is also given another one's answer")
    missing: float = Field(0.0, ge=0, le=1, description="a conversation is left out")
    invented: float = Field(0.0, ge=0, le=1, description="a conversation is answered under an id that is none")
    obeyed: dict[str, str] = Field(
        default_factory=dict, description="by content hash, the label that a conversation gets for its whole pack"
    )
    obeyed_by: int | None = Field(None, ge=1, description="how many others of the pack get it; unset: all")
    grader_finds: float = Field(1.0, ge=0, le=1, description="share of answers unlike `truth` that a grader names")
    grader_errs: float = Field(0.0, ge=0, le=1, description="share of the others that it names")


class Slot(_Part):
    """The prompt's static text around the transcript in the user message; what lies between is the transcript."""

    before: str = ""
    after: str = ""


class Script(_Part):
    """Everything that a loopback server does, as one value; the defaults are an ideal, unlimited server.

    Example:
        >>> Script(limits={"requests_per_minute": 600, "window_s": 1}).limits.window_s
        1.0
    """

    seed: int = 0
    latency: Latency = Latency()
    limits: Limits = Limits()
    faults: Faults = Faults()
    phases: tuple[Phase, ...] = ()
    clock: Literal["first_call", "start"] = Field("first_call", description="what phases count their seconds from")
    answers: Answers = Answers()
    batches: BatchWork = BatchWork()
    packs: PackWork = PackWork()
    slot: Slot | None = Field(None, description="unset: the whole user message is the transcript")

    api_key: str | None = Field(None, description="a made-up key; calls without it get 401")
    models: tuple[str, ...] | None = Field(None, description="others get 404; unset: every model is known")
    structured_outputs: bool = Field(True, description="False: response_format json_schema gets 400")
    logprobs: bool = Field(True, description="False: logprobs get 400")
    unsupported_parameters: tuple[str, ...] = Field((), description="request fields that get 400")
    max_context_tokens: int | None = Field(None, ge=1, description="longer prompts get 400 context_length_exceeded")
    dimensions: int = Field(256, ge=1, description="of embeddings")
    token_count: Literal["quarter", "o200k"] = Field("quarter", description="quarter: characters / 4")
    cache_from_tokens: int | None = Field(1024, ge=1, description="system messages this long are cached; unset: none")

    log_answers: bool = Field(False, description="keep the time of every billed answer; grows with the calls")

    @model_validator(mode="after")
    def _phases_in_order(self) -> Self:
        times = [phase.at_s for phase in self.phases]
        if times != sorted(set(times)):
            raise ValueError(f"phases must begin one after the other; at_s are {times}")
        return self

    def divided(self, processes: int) -> Script:
        """This script for one of `processes` servers that stand for one together: its limits and knee in parts."""
        if processes == 1:
            return self
        parts = {
            name: value / processes
            for name in ("requests_per_minute", "tokens_per_minute")
            if (value := getattr(self.limits, name)) is not None
        }
        parts |= {
            name: max(1, value // processes)
            for name in ("burst_requests", "burst_tokens", "max_in_flight")
            if (value := getattr(self.limits, name)) is not None
        }
        knee = self.latency.full_speed
        latency = {"full_speed": max(1, knee // processes)} if knee else {}
        return self.model_copy(
            update={
                "limits": self.limits.model_copy(update=parts),
                "latency": self.latency.model_copy(update=latency),
            }
        )

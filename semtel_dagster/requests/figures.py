"""What a run did so far, as numbers: for a progress line, for observations, for metadata.

Belongs here: the values. Counting belongs in `engine` and `endpoint`, showing them in the command line.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EndpointFigures:
    """One endpoint's part of a run.

    Attributes:
        name: The endpoint's name in the settings.
        model: The model's name, as it is recorded with each answer.
        calls: Calls sent, refused and failed ones included.
        answered: Calls that brought an answer.
        refused: Calls refused by rate or load.
        failed: Calls that brought neither.
        in_flight: Calls under way.
        limit: Calls in flight that the engine allows now.
        rate_limit: Requests per second that the engine allows now; None while no limit is known.
        latency_s: The usual latency of an answer.
        input_tokens: Prompt tokens.
        cached_tokens: Of these, served from a prompt cache.
        output_tokens: Completion tokens.
        cost_usd: By the endpoint's price.
        fault: Why the endpoint is out, e.g. "unauthorized (HTTP 401)"; empty while it is in.
    """

    name: str
    model: str
    calls: int = 0
    answered: int = 0
    refused: int = 0
    failed: int = 0
    in_flight: int = 0
    limit: int = 0
    rate_limit: float | None = None
    latency_s: float = 0.0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    fault: str = ""


@dataclass(frozen=True)
class Figures:
    """A whole run's numbers.

    Attributes:
        done: Rows that have an answer or a reason, those from the journal included.
        total: Rows in all; None while unknown.
        answered: Rows answered, from the journal included.
        failed: Rows that ended with a reason.
        from_journal: Rows found in the journal: no call.
        kept_apart: Rows that what they say keeps out of others' prompts.
        disbelieved: Rows whose answer in company was not believed, and which were asked alone.
        calls: Calls sent.
        refused: Calls refused by rate or load.
        retried: Calls beyond a row's first, refusals left out.
        hedged: Second calls for stragglers.
        in_flight: Calls under way.
        input_tokens: Prompt tokens.
        cached_tokens: Of these, served from a prompt cache.
        output_tokens: Completion tokens.
        cost_usd: By the endpoints' prices.
        seconds: Since the run began.
        rate: Rows done per second, over the last seconds.
        endpoints: The same per endpoint.
    """

    done: int = 0
    total: int | None = None
    answered: int = 0
    failed: int = 0
    from_journal: int = 0
    kept_apart: int = 0
    disbelieved: int = 0
    calls: int = 0
    refused: int = 0
    retried: int = 0
    hedged: int = 0
    in_flight: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0
    rate: float = 0.0
    endpoints: tuple[EndpointFigures, ...] = ()

    @classmethod
    def of(cls, each: tuple[EndpointFigures, ...], answered: int, failed: int, retried: int, hedged: int) -> Figures:
        """The sum over the endpoints, with the counts of rows."""
        return cls(
            done=answered + failed,
            answered=answered,
            failed=failed,
            calls=sum(one.calls for one in each),
            refused=sum(one.refused for one in each),
            retried=retried,
            hedged=hedged,
            in_flight=sum(one.in_flight for one in each),
            input_tokens=sum(one.input_tokens for one in each),
            cached_tokens=sum(one.cached_tokens for one in each),
            output_tokens=sum(one.output_tokens for one in each),
            cost_usd=sum(one.cost_usd for one in each),
            endpoints=each,
        )

    @property
    def seconds_left(self) -> float | None:
        """An estimate of the time to go; None while the total or the rate is unknown."""
        if self.total is None or self.rate <= 0:
            return None
        return max(0.0, (self.total - self.done) / self.rate)

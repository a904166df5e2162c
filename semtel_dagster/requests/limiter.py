"""The budgets of one endpoint: requests, tokens, and one "not before".

Belongs here: reserve and settle, one reaction per event, honouring `retry-after`. How a rate is learned belongs in
`rate`.
"""

from __future__ import annotations

from math import inf
from random import Random

from semtel_dagster.requests.announced import Announced
from semtel_dagster.requests.rate import LearnedRate
from semtel_dagster.requests.suspicion import Suspicion
from semtel_dagster.requests.trial import Trial, Verdict

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 4.0
BELIEVED_S = 2.0
FEW = 4
LEAST_OF_A_SECOND = 0.05


class Limiter:
    """Says when the next call may go.

    A refusal that is a sign of the limit (see `suspicion`) opens an event: the calls that were under way when it began
    are part of it and change nothing more. A stray refusal, as busy shared pools give them, delays its row alone.

    The pause is what the endpoint asks for; whole seconds are rounded up, and by how much is learned. Where it asks
    for more than two seconds a single call probes at two, four, eight... seconds, because such headers often describe
    another window or a shared pool. An event that comes before more than a few calls were accepted is the last one
    going on: the pause then at least doubles from a tenth of a second, whatever is asked for.

    Where event follows event after a few calls, a `trial` finds out whether it is a limit at all that refuses; with
    strangers on the same endpoint that cannot be told, and there is none.
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        tasks: int = 1,
        random: Random | None = None,
    ) -> None:
        """Starts from configured limits per minute, shared with so many tasks."""
        self.requests = LearnedRate(requests_per_minute, tasks)
        self.tokens = LearnedRate(tokens_per_minute, tasks)
        self._random = random or Random()
        self._event_at = -inf
        self._not_before = -inf
        self._asked_until = -inf
        self._in_a_row = 0
        self._sent = 0
        self._few_until = inf
        self._probing = False
        self._call_tokens = 1.0
        self._suspicion = Suspicion()
        self._trial = Trial()
        self._announced = Announced(), Announced()
        self._second = 1.0

    @property
    def not_before(self) -> float:
        """The clock's time before which no call may go, in seconds."""
        return self._not_before

    @property
    def expects_chance(self) -> bool:
        """Whether a trial has shown that the endpoint refuses a part of the calls at any rate."""
        return self._suspicion.proven

    def wait(self, now: float) -> float:
        """Seconds until the next call may go; 0: now; infinite while a probe or trial is waited for."""
        if now < self._not_before:
            return self._not_before - now
        if self._probing:
            return inf
        if self._trial.under_way:
            told = (rate.wait(now) for rate in (self.requests, self.tokens) if rate.told)
            return max(self._trial.wait(now), max(told, default=0.0))
        return max(self.requests.wait(now), self.tokens.wait(now))

    def reserve(self, now: float, tokens: float) -> None:
        """Takes one call and its expected tokens from the budgets."""
        if self._not_before > -inf:
            self._resume(now)
        self._sent += 1
        if self._trial.under_way:
            self._trial.send(now)
        if self._sent == FEW:
            self._few_until = now
        self._suspicion.send(below=not self.requests.at_limit)
        self._call_tokens += 0.01 * (tokens - self._call_tokens)
        self.requests.spend(now, 1.0)
        self.tokens.spend(now, tokens)

    def announce(self, limits: tuple[float, float], now: float) -> None:
        """Takes in what a reply's headers tell: requests and tokens per minute, 0 where nothing."""
        for rate, known, limit in zip((self.requests, self.tokens), self._announced, limits, strict=True):
            if limit:
                factor = known.take(limit, now)
                if factor != 1.0:
                    rate.scale(factor)

    def settle(self, reserved: float, used: float, sent_at: float) -> None:
        """Puts right what a call really used, in tokens, and takes note that it was accepted."""
        if self._trial.concerns(sent_at):
            self._take(self._trial.accept(sent_at))
        if self._probing:
            self._probing, self._asked_until = False, -inf
        if used:
            self.tokens.give_back(reserved - used)

    def release(self, sent_at: float) -> None:
        """A call ended without a verdict about limits."""
        self._probing = False
        if self._trial.concerns(sent_at):
            self._trial.release(sent_at)

    def refuse(
        self,
        now: float,
        sent_at: float,
        tokens: float,
        retry_after: float | None,
        dimension: str,
        *,
        exhausted: bool = False,
    ) -> bool:
        """Takes a refusal in.

        Args:
            now: The clock, in seconds.
            sent_at: When the call went.
            tokens: What was reserved for it.
            retry_after: What the endpoint asked for, in seconds.
            dimension: "tokens" when the refusal is about tokens, "load" when it is about no budget.
            exhausted: Whether the headers show that nothing remains of a budget.

        Returns:
            Whether this refusal began a new event.
        """
        was_probe, self._probing = self._probing, False
        verdict = self._trial.refuse(now, sent_at) if self._trial.concerns(sent_at) else None
        by_tokens = dimension == "tokens"
        learns = dimension != "load"
        new_event = sent_at >= self._event_at and not was_probe
        again = self._event_at > -inf and sent_at <= self._few_until
        if verdict is not None:
            new_event = verdict is Verdict.LIMIT
            self._take(verdict)
        elif new_event:
            rate = self.tokens if by_tokens else self.requests
            usual = rate.calls_between
            new_event = self._is_sign(rate, now, exhausted=exhausted or (again and not self._suspicion.proven))
            if new_event and learns:
                self._trial.event(self._sent, usual)
        self.requests.refuse(1.0, new_event=new_event and learns and not by_tokens, now=now)
        self.tokens.refuse(tokens, new_event=new_event and by_tokens, now=now)
        if new_event or was_probe:
            self._in_a_row = self._in_a_row + 1 if again else 0
            if retry_after and retry_after == int(retry_after) and self._event_at > -inf:
                self._second = min(2 * self._second, 1.0) if again else max(0.7 * self._second, LEAST_OF_A_SECOND)
            self._event_at = now if new_event else self._event_at
            self._pause(now, retry_after)
        return new_event

    def _take(self, verdict: Verdict) -> None:
        """A trial's verdict: chance, whose share is known now, or a limit, which was right as it was."""
        if verdict is Verdict.CHANCE:
            self._suspicion.prove(self._trial.share_refused)
            self.requests.believe_recent()
            self.tokens.believe_recent()

    def _is_sign(self, rate: LearnedRate, now: float, *, exhausted: bool) -> bool:
        """Whether a refusal is a sign of the limit, and no stray."""
        below = not rate.at_limit
        if self._suspicion.refuse(
            known=rate.known,
            below=below,
            exhausted=exhausted,
            alone=not rate.shared,
            shared=rate.among_strangers,
            per_second=self.requests.recent(now),
        ):
            return True
        if not self._suspicion.often:
            rate.ease()
        return False

    def _pause(self, now: float, retry_after: float | None) -> None:
        doubled = FIRST_PAUSE_S * 2.0**self._in_a_row
        least = min(doubled, LONGEST_PAUSE_S) if self._in_a_row or retry_after is None else 0.0
        said = retry_after or 0.0
        if said == int(said) and said:
            said += self._second - 1
        asked = min(said, BELIEVED_S * 2.0**self._in_a_row)
        self._asked_until = -inf if retry_after is None else now + said
        self._not_before = now + max(asked, least) * self._random.uniform(1.0, 1.1)

    def _resume(self, now: float) -> None:
        if now < self._asked_until:
            self._probing = True
            return
        self.requests.resume(now, most=self._announced[0].per_second)
        self.tokens.resume(now, self._call_tokens, most=self._announced[1].per_second)
        self._not_before = self._asked_until = -inf
        self._sent, self._few_until = 0, inf
        if self._trial.due and not self.requests.among_strangers:
            self._trial.begin(now, min(self.requests.of_all, self.tokens.of_all / self._call_tokens))
            self.requests.trust_what_was_told()
            self.tokens.trust_what_was_told()

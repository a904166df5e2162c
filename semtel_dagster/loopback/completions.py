"""A chat call from its arrival to its end: struck by a fault, or answered after its latency.

Reading a request belongs in `calls`, who gets in in `admission`, how faults look in `mishaps`, routing in `service`.
"""

from __future__ import annotations

from random import Random
from time import monotonic
from typing import Any

from semtel_dagster.loopback import replies
from semtel_dagster.loopback.admission import Admission
from semtel_dagster.loopback.answers import Answerer
from semtel_dagster.loopback.arrival import Arrival
from semtel_dagster.loopback.calls import Call, CallReader
from semtel_dagster.loopback.mishaps import BILLED
from semtel_dagster.loopback.packs import PackAnswerer
from semtel_dagster.loopback.script import Phase
from semtel_dagster.loopback.wire import render


class Completions:
    """Serves chat calls by one script."""

    def __init__(self, admission: Admission) -> None:
        script = self._script = admission.script
        self._admission = admission
        self._stats, self._mishaps = admission.stats, admission.mishaps
        self._random = Random(script.seed)
        self._reader = CallReader(script)
        self._answerer = Answerer(script.answers, script.seed)
        self._packs = PackAnswerer(script.packs, self._answerer, script.seed)

    def handle(self, arrival: Arrival) -> None:
        """Counts a call and sees it through.

        Raises:
            UnfitError: It is no chat call, or none that the script's server serves.
        """
        call = self._reader.read(arrival)
        self._admission.clock.begin()
        nth = self._stats.call(call.conversation, call.transcript)
        self._admission.count("calls", call)
        self._admission.check_model(call, call.request.model)
        self._reader.check(call)
        phase = self._admission.admit(call, call.conversation, nth, call.judged_tokens())
        if phase is not None:
            self._begin(call, phase)

    def _begin(self, call: Call, phase: Phase) -> None:
        """Takes an admitted call into service."""
        self._stats.enter()
        text, finish_reason, output_tokens = self._answer(call)
        seconds = self._latency(output_tokens, phase)
        if seconds <= 0:
            self._finish(call, text, finish_reason, output_tokens)
        else:
            self._admission.loop.call_later(seconds, self._finish, call, text, finish_reason, output_tokens)

    def _answer(self, call: Call) -> tuple[str, str, int]:
        """The answer's text, its finish_reason and its tokens."""
        if call.fault == "filtered_200":
            return "", "content_filter", 0
        finish_reason = "stop"
        if call.blocks and call.schema is not None:
            text, cut = self._packs.answer(call.schema, call.blocks, call.conversation)
            finish_reason = "length" if cut else "stop"
        else:
            text = self._answerer.answer(call.schema, call.transcript)
        tokens, most = max(1, self._reader.tokens(text)), call.request.most_tokens()
        if most is not None and tokens > most:
            return text[: len(text) * most // tokens], "length", most
        return text, finish_reason, tokens

    def _latency(self, output_tokens: int, phase: Phase) -> float:
        latency = self._script.latency
        seconds = latency.median_s
        if latency.sigma:
            seconds *= self._random.lognormvariate(0.0, latency.sigma)
        seconds += latency.per_output_token_s * output_tokens
        if latency.full_speed is not None:
            load = self._stats.in_flight / (latency.full_speed * phase.capacity)
            if load > 1:
                seconds *= load**latency.overload
        return seconds * phase.slow

    def _finish(self, call: Call, text: str, finish_reason: str, output_tokens: int) -> None:
        """Ends a call whose latency has passed."""
        self._stats.in_flight -= 1
        if call.connection.gone:
            self._stats.totals["vanished"] += 1
        if call.fault is not None:
            self._admission.count_fault(call.fault, call)
            if call.fault not in BILLED:
                self._mishaps.unbilled(call)
                return
        tokens = (call.prompt_tokens, self._reader.cached_tokens(call), output_tokens)
        self._admission.settle(call.judged_tokens(), call.prompt_tokens + output_tokens)
        self._stats.pay(call.conversation, call.transcript, tokens)
        if self._script.log_answers:
            self._stats.log(call.conversation, monotonic(), call.connection.opened_at)
        self._stats.pay_packed([block.key for block in call.blocks if block.proposed is None])
        body = replies.completion(
            number=self._stats.totals["calls"],
            model=call.request.model,
            text=text,
            finish_reason=finish_reason,
            tokens=tokens,
            logprobs=self._logprobs(call, text),
        )
        if call.fault is not None:
            self._mishaps.billed(call, body)
            return
        self._stats.statuses[200] += 1
        self._admission.count("answered", call)
        call.connection.reply(render(200, body, call.headers))

    def _logprobs(self, call: Call, text: str) -> dict[str, Any] | None:
        if not call.request.logprobs:
            return None
        return replies.token_logprobs(text, call.request.top_logprobs or 0, self._script.seed, call.transcript)

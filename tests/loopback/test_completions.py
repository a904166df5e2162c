"""Chat completions: answers, their latency, limits and phases, and what a request may ask for."""

import itertools
import json
import math

import pytest

from semtel_dagster.loopback.answers import valid_answer
from semtel_dagster.loopback.schedule import quota
from semtel_dagster.loopback.script import Faults, Phase, Script
from tests.loopback.virtual import SCHEMA, Line, VirtualServer, closed_loop

DRY = {"median_s": 0.1}


def test_an_ideal_server_answers_at_once_by_the_schema_with_usage():
    reply = VirtualServer().ask("hello")
    assert reply.status == 200
    assert json.loads(reply.answer) == valid_answer(SCHEMA, "hello")
    assert reply.json["choices"][0]["finish_reason"] == "stop"
    assert reply.json["usage"]["prompt_tokens"] == 6 + 2
    assert reply.json["usage"]["total_tokens"] == 8 + reply.json["usage"]["completion_tokens"]


def test_latency_is_the_median_plus_the_time_of_the_output_tokens():
    server = VirtualServer(
        latency={"median_s": 0.5, "per_output_token_s": 0.01}, answers={"style": "fixed", "text": "x" * 40}
    )
    reply = server.ask()
    server.loop.advance(0.599)
    assert reply.sent == b""
    server.loop.advance(0.002)
    assert reply.status == 200


def test_latency_is_log_normal():
    server = VirtualServer(latency={"median_s": 1.0, "sigma": 0.5})
    times, start = [], server.loop.now
    for number in range(2000):
        server.ask(str(number), line=Line(lambda _: times.append(server.loop.now - start)))
    server.loop.advance(1000)
    logs = [math.log(time) for time in times]
    mean = sum(logs) / len(logs)
    assert len(times) == 2000
    assert mean == pytest.approx(0, abs=0.05)
    assert (sum((log - mean) ** 2 for log in logs) / len(logs)) ** 0.5 == pytest.approx(0.5, abs=0.04)


def test_throughput_grows_to_the_knee_and_falls_beyond_it():
    def answers(concurrency):
        server = VirtualServer(latency={"median_s": 0.1, "full_speed": 16, "overload": 1.5})
        return closed_loop(server, concurrency, 20)

    rates = {concurrency: answers(concurrency) / 20 for concurrency in (4, 8, 16, 32, 64)}
    assert rates[4] == pytest.approx(40, rel=0.02)
    assert rates[16] == pytest.approx(160, rel=0.05)
    assert max(rates, key=rates.get) == 16
    assert rates[16] > rates[32] > rates[64]
    assert rates[64] == pytest.approx(80, rel=0.15)


def test_a_hammering_client_gets_the_quota_and_refusals_and_no_more():
    script = Script(
        latency=DRY,
        limits={"requests_per_minute": 600, "window_s": 1},
        phases=(Phase(at_s=20, capacity=0.5), Phase(at_s=40)),
    )
    server = VirtualServer(script)
    numbers = itertools.count()
    for _ in range(6000):
        server.ask(str(next(numbers)))
        server.loop.advance(0.01)
    stats = server.stats()
    assert stats["answered"] == pytest.approx(quota(script, 0, 60) + 10, abs=2)
    assert stats["answered"] + stats["refused"] == pytest.approx(6000, abs=2)
    assert stats["refused_by"] == {"requests": stats["refused"]}
    by_second = [sum(stats["series"]["answered"][at : at + 10]) for at in range(0, 600, 10)]
    assert set(by_second[2:19]) <= {9, 10, 11}
    assert set(by_second[22:39]) <= {4, 5, 6}
    assert set(by_second[42:59]) <= {9, 10, 11}


def test_a_refusal_says_why_and_when():
    server = VirtualServer(limits={"requests_per_minute": 60, "window_s": 1, "retry_after": "both"})
    server.ask()
    refusal = server.ask()
    assert refusal.status == 429
    assert refusal.json["error"]["code"] == "rate_limit_exceeded"
    assert refusal.headers["retry-after"] == "1"
    assert refusal.headers["retry-after-ms"] == "1000"
    assert refusal.headers["x-ratelimit-remaining-requests"] == "0"


def test_a_refusal_need_not_say_when():
    server = VirtualServer(
        limits={"requests_per_minute": 60, "window_s": 1, "retry_after": "neither", "headers": "none"}
    )
    server.ask()
    refusal = server.ask()
    assert set(refusal.headers) == {"content-type", "content-length"}
    assert "try again" not in refusal.json["error"]["message"]


def test_phases_count_from_the_first_call():
    server = VirtualServer(phases=(Phase(at_s=5, down="unavailable"),))
    server.loop.advance(100)
    assert server.ask().status == 200
    server.loop.advance(5)
    assert server.ask().status == 503


def test_phases_can_count_from_the_start():
    server = VirtualServer(phases=(Phase(at_s=5, down="unavailable"), Phase(at_s=8)), clock="start")
    server.loop.advance(5)
    assert server.ask().status == 503
    server.loop.advance(3)
    assert server.ask().status == 200


def test_a_phase_slows_and_has_faults_of_its_own():
    server = VirtualServer(latency=DRY, phases=(Phase(at_s=1, slow=10, faults=Faults(error_500=1.0)),))
    server.ask()
    server.loop.advance(1)
    late = server.ask()
    server.loop.advance(0.9)
    assert late.sent == b""
    server.loop.advance(0.2)
    assert late.status == 500


def test_prompt_caches_hit_from_the_second_call_with_a_long_static_part():
    server = VirtualServer()
    long, short = "rule " * 1024, "rule"
    cached = [
        server.ask(str(number), system=system).json["usage"]["prompt_tokens_details"]["cached_tokens"]
        for number, system in enumerate((long, long, short, short))
    ]
    assert cached == [0, 1280, 0, 0]
    assert server.stats()["cached_tokens"] == 1280


def test_an_answer_over_max_tokens_is_cut_with_finish_reason_length():
    server = VirtualServer(answers={"style": "fixed", "text": "x" * 400})
    reply = server.ask(max_tokens=10)
    assert reply.json["choices"][0]["finish_reason"] == "length"
    assert reply.json["usage"]["completion_tokens"] == 10
    assert len(reply.answer) == 40


def test_logprobs_come_when_asked_for_and_spell_the_answer():
    reply = VirtualServer().ask(logprobs=True, top_logprobs=3)
    content = reply.json["choices"][0]["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content) == reply.answer
    assert all(entry["logprob"] < 0 and len(entry["top_logprobs"]) == 3 for entry in content)
    assert VirtualServer().ask().json["choices"][0]["logprobs"] is None


@pytest.mark.parametrize(
    ("script", "fields", "status", "param"),
    [
        ({"structured_outputs": False}, {}, 400, "response_format"),
        ({"logprobs": False}, {"logprobs": True}, 400, "logprobs"),
        ({"unsupported_parameters": ["max_tokens"]}, {}, 400, "max_tokens"),
        ({"models": ["gpt"]}, {}, 404, "model"),
        ({"max_context_tokens": 5}, {}, 400, "messages"),
        ({}, {"stream": True}, 400, "stream"),
        ({}, {"response_format": 3}, 400, "response_format"),
    ],
)
def test_what_the_server_does_not_support_is_refused_with_the_parameter(script, fields, status, param):
    server = VirtualServer(**script)
    reply = server.ask(**fields)
    assert (reply.status, reply.json["error"]["param"]) == (status, param)
    stats = server.stats()
    assert (stats["calls"], stats["answered"], stats["paid"]) == (1, 0, {})


def test_an_answer_without_response_format_follows_the_schema_of_the_refused_call():
    server = VirtualServer(structured_outputs=False)
    assert server.ask().status == 400
    assert json.loads(server.ask(schema=None).answer) == valid_answer(SCHEMA, "hello")
    assert json.loads(server.ask(schema=None, system="another prompt").answer) == {"label": "other"}

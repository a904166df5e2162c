import itertools
import json
import math
from collections import Counter

import pytest

from semtel_dagster.loopback.answers import valid_answer
from semtel_dagster.loopback.chat import key_of
from semtel_dagster.loopback.schedule import quota
from semtel_dagster.loopback.script import FAULT_KINDS, Faults, Phase, Script
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


@pytest.mark.parametrize(("down", "ended"), [("reset", "reset"), ("hang", None)])
def test_an_endpoint_that_is_down_may_not_even_answer(down, ended):
    server = VirtualServer(phases=(Phase(at_s=0, down=down),))
    line = server.ask()
    server.loop.advance(1)
    assert (line.sent, line.ended) == (b"", ended)
    assert server.stats()["faults"] == {"down": 1}


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_every_fault_is_counted_by_its_kind_and_only_there(kind):
    server = VirtualServer(latency=DRY, faults={kind: 1.0})
    server.ask("one")
    server.ask("two")
    server.loop.advance(60)
    stats = server.stats()
    assert stats["faults"] == {kind: 2}
    assert (stats["calls"], stats["answered"], stats["in_flight"]) == (2, 0, 0)
    billed = kind in {"trickle", "truncated", "cut", "html_200", "content_type", "filtered_200"}
    assert sum(stats["paid"].values()) == (2 if billed else 0)


def struck(kind, path="/v1/chat/completions", **faults):
    server = VirtualServer(faults={kind: 1.0, **faults})
    line = server.ask(path=path)
    return server, line


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("error_500", 500, None),
        ("error_503", 503, None),
        ("refused_429", 429, "rate_limit_exceeded"),
        ("filtered_400", 400, "content_filter"),
        ("context_length", 400, "context_length_exceeded"),
    ],
)
def test_errors_have_openais_shape(kind, status, code):
    _, line = struck(kind)
    assert line.status == status
    assert line.json["error"]["code"] == code


def test_the_content_filter_says_what_it_found():
    _, line = struck("filtered_400")
    assert line.json["error"]["innererror"]["content_filter_result"]["violence"]["filtered"] is True


def test_a_filtered_answer_is_a_200_without_content():
    _, line = struck("filtered_200")
    assert line.json["choices"][0]["finish_reason"] == "content_filter"
    assert line.answer == ""


def test_an_unprocessable_request_has_the_shape_of_fastapi():
    _, line = struck("invalid_422")
    assert line.status == 422
    assert line.json["detail"][0]["type"] == "value_error"


def test_a_truncated_reply_is_whole_http_around_broken_json():
    _, line = struck("truncated")
    assert line.status == 200
    assert int(line.headers["content-length"]) == len(line.body)
    with pytest.raises(json.JSONDecodeError):
        json.loads(line.body)


def test_a_cut_reply_ends_before_its_length():
    _, line = struck("cut")
    assert 0 < len(line.body) < int(line.headers["content-length"])
    assert line.ended == "closed"


@pytest.mark.parametrize(("kind", "status"), [("html_200", 200), ("html_502", 502)])
def test_a_proxys_page_is_html(kind, status):
    _, line = struck(kind)
    assert line.status == status
    assert line.headers["content-type"].startswith("text/html")
    assert line.body.startswith(b"<!DOCTYPE html>")


def test_a_wrong_content_type_carries_the_right_answer():
    _, line = struck("content_type")
    assert line.headers["content-type"] == "text/plain"
    assert json.loads(line.answer) == valid_answer(SCHEMA, "hello")


def test_a_trickle_comes_whole_and_late():
    server, line = struck("trickle", trickle_s=10)
    server.loop.advance(5)
    assert line.ended is None
    assert line.sent
    server.loop.advance(6)
    assert line.ended == "done"
    assert json.loads(line.answer) == valid_answer(SCHEMA, "hello")


def test_a_hang_ends_with_a_reset_when_its_time_is_over():
    server, line = struck("hang", hang_s=60)
    assert server.stats()["hanging"] == 1
    server.loop.advance(61)
    assert line.ended == "reset"


def test_a_hang_whose_client_gives_up_is_over():
    server, line = struck("hang")
    server.service.lost(line)
    assert server.stats()["hanging"] == 0


def test_who_is_struck_can_be_known_beforehand():
    server = VirtualServer(faults=dict.fromkeys(("error_500", "filtered_400", "html_200"), 0.1), seed=7)
    statuses = [server.ask(str(number)).status for number in range(500)]
    again = VirtualServer(faults=dict.fromkeys(("error_500", "filtered_400", "html_200"), 0.1), seed=7)
    assert [again.ask(str(number)).status for number in reversed(range(500))] == statuses[::-1]


def test_calls_and_what_was_paid_for_are_counted_by_conversation():
    server = VirtualServer(faults={"error_500": 1.0, "first_calls": 2})
    for text in ("one", "one", "one", "two", "one"):
        server.ask(text)
    stats = server.stats()
    one, two = key_of("one").hex(), key_of("two").hex()
    assert stats["conversations"] == stats["transcripts"] == {one: 4, two: 1}
    assert stats["paid"] == stats["paid_transcripts"] == {one: 2}
    assert stats["calls_per_conversation"] == {"1": 1, "4": 1}


@pytest.mark.parametrize(
    ("script", "headers"), [({"slot": {"before": "<<", "after": ">>"}}, []), ({}, ["X-Loopback-Slot: 2,2"])]
)
def test_the_transcript_inside_a_prompt_is_counted_by_its_content_hash(script, headers):
    server = VirtualServer(**script)
    reply = server.ask("<<hello>>", headers=headers)
    stats = server.stats()
    assert stats["transcripts"] == stats["paid_transcripts"] == {key_of("hello").hex(): 1}
    assert stats["conversations"] == {key_of("<<hello>>").hex(): 1}
    assert json.loads(reply.answer) == valid_answer(SCHEMA, "hello")


def test_an_answer_whose_client_has_gone_is_paid_for_all_the_same():
    server = VirtualServer(latency=DRY)
    line = server.ask("one")
    line.gone = True
    server.loop.advance(1)
    stats = server.stats()
    assert (stats["vanished"], stats["answered"], stats["paid"]) == (1, 1, {key_of("one").hex(): 1})


def test_the_times_of_answers_are_kept_where_the_script_asks_for_them():
    server = VirtualServer(log_answers=True, faults={"error_500": 1.0, "first_calls": 1})
    server.ask("one")
    server.ask("one")
    ((conversation, at, connected_at),) = server.stats()["answer_log"]
    assert conversation == key_of("one").hex()
    assert connected_at <= at
    assert VirtualServer().stats()["answer_log"] == []


def test_calls_in_flight_are_known_and_their_peak_too():
    server = VirtualServer(latency=DRY)
    for number in range(5):
        server.ask(str(number))
    assert server.stats()["in_flight"] == 5
    server.loop.advance(1)
    server.ask()
    assert (server.stats()["in_flight"], server.stats()["max_in_flight"]) == (1, 5)


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


def test_a_mix_of_faults_and_limits_accounts_for_every_call():
    shares = dict.fromkeys(FAULT_KINDS, 0.2 / len(FAULT_KINDS))
    server = VirtualServer(
        latency={"median_s": 0.2, "sigma": 0.5}, limits={"requests_per_minute": 30_000, "window_s": 1}, faults=shares
    )
    ended = Counter()
    for number in range(3000):
        server.ask(str(number), line=Line(lambda line: ended.update([line.status])))
        if number % 10 == 0:
            server.loop.advance(0.01)
    server.loop.advance(4000)
    stats = server.stats()
    gone_wrong = sum(stats["faults"].values()) - stats["faults"]["refused_429"]
    assert stats["answered"] + stats["refused"] + gone_wrong == stats["calls"] == 3000
    assert Counter({int(status): count for status, count in stats["statuses"].items()}) - ended == {
        200: stats["faults"]["cut"]
    }

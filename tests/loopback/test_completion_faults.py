"""Scripted faults: what each looks like on the wire, and that it is counted by its kind and only there."""

import json
from collections import Counter

import pytest

from semtel_dagster.loopback.answers import valid_answer
from semtel_dagster.loopback.script import FAULT_KINDS, Phase
from tests.loopback.virtual import SCHEMA, Line, VirtualServer

DRY = {"median_s": 0.1}


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

"""What the server counts: calls, what was paid for, by conversation, and calls in flight."""

import json

import pytest

from semtel_dagster.loopback.answers import valid_answer
from semtel_dagster.loopback.chat import key_of
from tests.loopback.virtual import SCHEMA, VirtualServer

DRY = {"median_s": 0.1}


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

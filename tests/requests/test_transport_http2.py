"""HTTP/2: few connections, and never more calls on one than a server has to allow."""

import asyncio

import pytest

from semtel_dagster.loopback.process import serve
from semtel_dagster.requests.outcome import Kind
from semtel_dagster.requests.transport import STREAMS, HttpTransport
from tests.requests.builders import endpoint, plan, run, texts
from tests.requests.http2_server import serve_http2

BODY = b'{"model":"m","messages":[{"role":"user","content":"' + b"hello " * 1500 + b'"}]}'

pytestmark = pytest.mark.usefixtures("trusted")


def post(server, *waves, timeout=60.0):
    """So many calls at once, wave after wave."""

    async def all_at_once():
        transport = HttpTransport({"authorization": "Bearer key"}, sum(waves), http2=True)
        url = f"{server.base_url}/chat/completions"
        try:
            return [
                outcome
                for count in waves
                for outcome in await asyncio.gather(*(transport.post(url, BODY, timeout) for _ in range(count)))
            ]
        finally:
            await transport.close()

    return asyncio.run(all_at_once())


def test_calls_share_a_connection(issued):
    with serve_http2(issued, waves=(1, 50, 50)) as server:
        outcomes = post(server, 1, 50, 50)
        assert {outcome.kind for outcome in outcomes} == {Kind.ANSWERED}
        assert server.connections == 1
        assert server.requests[0][":path"] == "/v1/chat/completions"
        assert server.requests[0]["authorization"] == "Bearer key"
        assert set(server.bodies) == {BODY}


def test_more_calls_than_a_connection_takes_get_more_connections_and_do_not_wait_for_each_other(issued):
    with serve_http2(issued, waves=(1, 3 * STREAMS), streams=STREAMS) as server:
        outcomes = post(server, 1, 3 * STREAMS)
        assert {outcome.kind for outcome in outcomes} == {Kind.ANSWERED}
        assert server.connections == 3
        assert server.peak == STREAMS


def test_a_server_without_http2_is_spoken_to_in_http1(issued):
    with serve(certificate=issued.pair, trusted=issued.trusted) as server:
        outcomes = post(server, 20)
        assert {outcome.kind for outcome in outcomes} == {Kind.ANSWERED}
        assert server.stats()["answered"] == 20


def test_a_lost_connection_is_a_fault_of_its_calls_and_the_next_ones_get_a_new_one(issued):
    async def lose_then_ask(server):
        transport = HttpTransport({}, 10, http2=True)
        url = f"{server.base_url}/chat/completions"
        try:
            lost = [asyncio.create_task(transport.post(url, BODY, 60.0)) for _ in range(10)]
            while len(server.requests) < 10:
                await asyncio.sleep(0.01)
            server.drop_connections()
            first = await asyncio.gather(*lost)
            server.answer_s = 0.0
            return first, await transport.post(url, BODY, 60.0)
        finally:
            await transport.close()

    with serve_http2(issued, answer_s=3600.0) as server:
        first, second = asyncio.run(lose_then_ask(server))
    assert {outcome.code for outcome in first} == {"connection_lost"}
    assert second.kind is Kind.ANSWERED


def test_a_run_asks_over_http2_where_the_settings_say_so(issued, tmp_path):
    with serve_http2(issued) as server:
        table, _ = run(plan(tmp_path, endpoint(server.base_url, http2=True)), texts(150))
        assert table.column("status").unique().to_pylist() == ["answered"]
        assert len(server.bodies) == 150

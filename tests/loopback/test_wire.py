import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.loopback.wire import MAX_BODY, MAX_HEAD, Connection, render

OK = render(200, b"{}")


class Transport:
    """Keeps what is written."""

    def __init__(self):
        self.written = b""
        self.closed = False

    def write(self, data):
        self.written += data

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed


class Talk:
    """A connection whose requests are kept, and answered at once unless `slow`."""

    def __init__(self, slow=False):
        self.requests = []
        self.slow = slow
        self.transport = Transport()
        self.connection = Connection(self._serve, lambda _: None, lambda _: None)
        self.connection.connection_made(self.transport)

    def _serve(self, connection, request):
        self.requests.append(request)
        if not self.slow:
            connection.reply(OK)

    def receive(self, data):
        """Feeds bytes inside a loop, as a transport would."""

        async def feed():
            self.connection.data_received(data)
            for _ in range(3):
                await asyncio.sleep(0)

        asyncio.run(feed())


def post(body, *headers):
    head = "\r\n".join(["POST /v1/chat/completions?a=b HTTP/1.1", "Host: x", *headers]).encode()
    return head + b"\r\n\r\n" + body


def by_length(body):
    return post(body, f"Content-Length: {len(body)}")


def by_chunks(body, size):
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%X;note=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return post(chunks + b"0\r\n\r\n", "Transfer-Encoding: chunked")


@given(
    body=st.binary(max_size=300),
    size=st.integers(1, 60),
    cuts=st.lists(st.integers(0, 500), max_size=6),
    chunked=st.booleans(),
)
def test_a_request_arrives_the_same_however_it_is_cut(body, size, cuts, chunked):
    whole = by_chunks(body, size) if chunked else by_length(body)
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    talk = Talk()
    for start, end in itertools.pairwise(edges):
        talk.connection.data_received(whole[start:end])
    assert [request.body for request in talk.requests] == [body]
    assert talk.transport.written == OK


def test_a_request_knows_its_line_and_headers():
    talk = Talk()
    talk.receive(post(b"", "API-Key:  secret ", "X-Other: 1"))
    (request,) = talk.requests
    assert (request.method, request.path, request.query) == ("POST", "/v1/chat/completions", "a=b")
    assert request.header(b"api-key") == b"secret"
    assert request.header(b"key") == b""


def test_the_connection_serves_one_request_after_the_other():
    talk = Talk()
    talk.receive(by_length(b"one") + by_length(b"two") + by_chunks(b"three", 2))
    assert [request.body for request in talk.requests] == [b"one", b"two", b"three"]
    assert talk.transport.written == OK * 3
    assert not talk.transport.closed


def test_a_request_waits_until_the_one_before_is_answered():
    talk = Talk(slow=True)
    talk.receive(by_length(b"one") + by_length(b"two"))
    assert [request.body for request in talk.requests] == [b"one"]


def test_a_client_that_asks_to_close_is_closed_after_the_reply():
    talk = Talk()
    talk.receive(post(b"", "Connection: close"))
    assert talk.transport.written == OK
    assert talk.transport.closed


def test_a_client_that_waits_for_a_go_gets_it():
    talk = Talk()
    talk.receive(post(b"", "Expect: 100-continue", "Content-Length: 2"))
    assert talk.transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    talk.receive(b"{}")
    assert talk.transport.written.endswith(OK)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (post(b"", "Content-Length: many"), 400),
        (post(b"xyz\r\n", "Transfer-Encoding: chunked"), 400),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * MAX_HEAD, 431),
        (post(b"", f"Content-Length: {MAX_BODY + 1}"), 413),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(raw, status):
    talk = Talk()
    talk.receive(raw)
    assert talk.requests == []
    assert talk.transport.written.startswith(b"HTTP/1.1 %d " % status)
    assert talk.transport.closed


def test_a_reply_to_a_client_that_is_gone_goes_nowhere():
    talk = Talk(slow=True)
    talk.receive(by_length(b"one"))
    talk.connection.connection_lost(None)
    assert talk.connection.gone
    talk.connection.reply(OK)
    talk.connection.reset()
    assert talk.transport.written == b""

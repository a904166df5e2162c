"""A clock that tests turn by hand, and connections that keep what was sent: a server without time or sockets."""

import heapq
import itertools
import json

from semtel_dagster.loopback.script import Script
from semtel_dagster.loopback.service import Service
from semtel_dagster.loopback.wire import Request

LABELS = ["coding", "writing", "search", "small_talk"]
SCHEMA = {
    "type": "object",
    "properties": {"topic": {"type": "string", "enum": LABELS}},
    "required": ["topic"],
    "additionalProperties": False,
}


class Timer:
    def __init__(self, run):
        self.run = run

    def cancel(self):
        self.run = lambda: None


class VirtualLoop:
    """The part of an event loop that the service uses."""

    def __init__(self):
        self.now = 1000.0
        self._order = itertools.count()
        self._timers = []

    def time(self):
        return self.now

    def call_later(self, delay, function, *arguments):
        timer = Timer(lambda: function(*arguments))
        heapq.heappush(self._timers, (self.now + delay, next(self._order), timer))
        return timer

    def advance(self, seconds):
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            self.now, _, timer = heapq.heappop(self._timers)
            timer.run()
        self.now = end


class Line:
    """A connection; `answered` is called with each whole reply."""

    def __init__(self, answered=lambda line: None):
        self.sent = b""
        self.gone = False
        self.opened_at = 0.0
        self.ended = None
        self._answered = answered

    def reply(self, whole):
        self.send(whole)
        self.done()

    def send(self, piece):
        self.sent += b"" if self.gone else piece

    def done(self):
        self.ended = "done"
        self._answered(self)

    def close(self):
        self.ended = "closed"

    def reset(self):
        self.ended = "reset"

    @property
    def status(self):
        return int(self.sent.split(b" ")[1])

    @property
    def headers(self):
        lines = self.sent.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return dict(line.split(": ", 1) for line in lines)

    @property
    def body(self):
        return self.sent.partition(b"\r\n\r\n")[2]

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def answer(self):
        return self.json["choices"][0]["message"]["content"]


class VirtualServer:
    """A service on a virtual clock."""

    def __init__(self, script=None, **fields):
        self.loop = VirtualLoop()
        self.service = Service(script or Script(**fields), self.loop)

    def send(self, method, path, body=b"", headers=(), line=None):
        line = line or Line()
        target, _, _ = path.partition("#")
        head = "\r\n".join([f"{method} {target} HTTP/1.1", "host: test", *headers]).encode()
        request = Request(head, head.lower())
        request.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.service.handle(line, request)
        return line

    def ask(self, text="hello", path="/v1/chat/completions", line=None, headers=(), **fields):
        """Sends a chat call about a transcript."""
        return self.send("POST", path, chat(text, **fields), headers, line)

    def stats(self):
        return self.send("GET", "/_stats").json


def chat(text, *, system="You label conversations.", schema=SCHEMA, **fields):
    """A chat request as the engine sends it; `schema=None` leaves response_format out."""
    body = {"model": "m", "messages": [{"role": "system", "content": system}, {"role": "user", "content": text}]}
    if schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "a", "strict": True, "schema": schema},
        }
    return {**body, "max_tokens": 60, **fields}


def closed_loop(server, concurrency, seconds, **fields):
    """So many clients that each ask again as soon as they are answered; returns the answers in that time."""
    numbers = itertools.count()
    answers = 0

    def next_call(line=None):
        nonlocal answers
        if line is not None:
            answers += line.status == 200
        server.loop.call_later(0, lambda: server.ask(f"text {next(numbers)}", line=Line(next_call), **fields))

    for _ in range(concurrency):
        next_call()
    server.loop.advance(seconds)
    return answers

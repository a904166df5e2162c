"""The server's addresses: chat, embeddings, models, files and batches as OpenAI and Azure have them, and its own.

`/_stats` tells what was counted (`?conversations=0` leaves out the counts by conversation), `PUT /_script` changes
the script, `POST /_reset` forgets the counts and begins the script anew. Any path may begin with `/as/<client>`:
calls through it are also counted for that client.
"""

from __future__ import annotations

import asyncio
import hmac
from typing import Any

import orjson
from pydantic import ValidationError

from semtel_dagster.loopback import replies
from semtel_dagster.loopback.admission import Admission
from semtel_dagster.loopback.arrival import Arrival, UnfitError
from semtel_dagster.loopback.batch_paths import BatchPaths, batch_action
from semtel_dagster.loopback.completions import Completions
from semtel_dagster.loopback.embeddings import Embeddings
from semtel_dagster.loopback.mishaps import Mishaps
from semtel_dagster.loopback.schedule import Clock
from semtel_dagster.loopback.script import Script
from semtel_dagster.loopback.stats import Stats
from semtel_dagster.loopback.wire import Connection, Request, render


class Service:
    """Answers every request of a server process by its script."""

    def __init__(self, script: Script, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.stats = Stats()
        self._mishaps = Mishaps(self.stats, loop)
        self._batches = BatchPaths(script, self.stats, loop)
        self._begin(script)

    def _begin(self, script: Script) -> None:
        self._script = script
        self._batches.use(script)
        self._key = script.api_key.encode() if script.api_key is not None else None
        self._clock = Clock(self._loop.time, running=script.clock == "start")
        self._completions = Completions(self._admission())
        self._embeddings = Embeddings(self._admission())

    def _admission(self) -> Admission:
        """A new one for each kind of call: providers keep quotas per model."""
        return Admission(self._script, self.stats, self._mishaps, self._clock, self._loop)

    def opened(self, connection: Connection) -> None:
        """A connection was made."""
        self.stats.connect()

    def lost(self, connection: Connection) -> None:
        """A connection has ended."""
        self.stats.connections -= 1
        self._mishaps.lost(connection)

    def handle(self, connection: Connection, request: Request) -> None:
        """Sends a request where its path leads."""
        client, path = _client_and_path(request.path)
        if path.startswith("/_"):
            self._control(connection, request, path)
            return
        batched = batch_action(path) if self._script.batches.served else None
        azure, deployment, action = (batched[0], "", "batches") if batched else _route(path)
        if action is None:
            self._reply(connection, 404, replies.error(404, None, "No such path.", azure=azure, kind="not_found"))
        elif not self._key_is_good(request):
            self._reply(connection, 401, _wrong_key(azure))
        elif batched:
            self._batches.handle(connection, request, batched[1], azure)
        elif action == "models" and request.method == "GET":
            self._reply(connection, 200, replies.models(self._script.models or ("loopback",)))
        elif request.method != "POST" or action == "models":
            self._reply(connection, 405, replies.error(405, None, "Wrong method.", azure=azure, kind="bad_method"))
        elif azure and deployment and "api-version=" not in request.query:
            self._reply(connection, 404, replies.error(404, "404", "Resource not found.", azure=True, kind=""))
        elif action == "chat/completions":
            self._serve(self._completions, Arrival(connection, request, deployment, client, azure))
        else:
            self._serve(self._embeddings, Arrival(connection, request, deployment, client, azure))

    def _serve(self, kind: Completions | Embeddings, arrival: Arrival) -> None:
        try:
            kind.handle(arrival)
        except UnfitError as unfit:
            self._mishaps.error(arrival.connection, unfit.status, unfit.body)

    def _key_is_good(self, request: Request) -> bool:
        if self._key is None:
            return True
        sent = request.header(b"authorization").removeprefix(b"Bearer ") or request.header(b"api-key")
        return hmac.compare_digest(sent, self._key)

    def _control(self, connection: Connection, request: Request, path: str) -> None:
        if path == "/_stats" and request.method == "GET":
            whole = "conversations=0" not in request.query
            figures = self.stats.as_dict(self._clock.seconds(), conversations=whole)
            connection.reply(render(200, orjson.dumps(figures)))
        elif path == "/_script" and request.method == "GET":
            connection.reply(render(200, self._script.model_dump_json().encode()))
        elif path == "/_script" and request.method in {"PUT", "POST"}:
            self._replace(connection, request)
        elif path == "/_reset" and request.method == "POST":
            self.stats.reset()
            self._batches.close()
            self._batches = BatchPaths(self._script, self.stats, self._loop)
            self._begin(self._script)
            connection.reply(render(200, b"{}"))
        else:
            connection.reply(render(404, b'{"error": "control paths: /_stats, /_script, /_reset"}'))

    def _replace(self, connection: Connection, request: Request) -> None:
        try:
            script = Script.model_validate_json(request.body)
        except ValidationError as error:
            faults: list[Any] = error.errors(include_url=False, include_context=False, include_input=False)
            connection.reply(render(422, orjson.dumps({"error": faults})))
            return
        self._begin(script)
        connection.reply(render(200, b"{}"))

    def _reply(self, connection: Connection, status: int, body: bytes) -> None:
        self.stats.statuses[status] += 1
        connection.reply(render(status, body))


def _client_and_path(path: str) -> tuple[str, str]:
    if path.startswith("/as/"):
        client, slash, rest = path[4:].partition("/")
        return client, slash + rest
    return "", path


def _route(path: str) -> tuple[bool, str, str | None]:
    """Whether a path is Azure's, its deployment if it names one, and the action, or None."""
    actions = ("chat/completions", "embeddings", "models")
    for prefix, azure in (("/v1/", False), ("/openai/v1/", True)):
        if path.startswith(prefix):
            rest = path[len(prefix) :]
            return azure, "", rest if rest in actions else None
    if path.startswith("/openai/deployments/"):
        deployment, _, rest = path[len("/openai/deployments/") :].partition("/")
        return True, deployment, rest if rest in actions[:2] else None
    return False, "", None


def _wrong_key(azure: bool) -> bytes:
    code = "401" if azure else "invalid_api_key"
    return replies.error(401, code, "The API key is missing or wrong.", azure=azure, kind="invalid_request_error")

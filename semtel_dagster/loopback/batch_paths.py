"""The addresses of files and batches, in OpenAI's and Azure's paths, and their replies.

What a batch does belongs in `batches`, kept bytes in `files`. They live as long as the server: a changed script does
not forget them, `/_reset` does.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs

import orjson

from semtel_dagster.loopback import replies
from semtel_dagster.loopback.batches import QUOTA, Batches
from semtel_dagster.loopback.files import Files, read_form
from semtel_dagster.loopback.script import Script
from semtel_dagster.loopback.stats import Stats
from semtel_dagster.loopback.wire import JSON, Connection, Request, render

_PREFIXES = (("/v1/", False), ("/openai/v1/", True), ("/openai/", True))
Reply = tuple[int, bytes]


class BatchPaths:
    """Serves `files` and `batches` by one script."""

    def __init__(self, script: Script, stats: Stats, loop: asyncio.AbstractEventLoop) -> None:
        self._stats = stats
        self._loop = loop
        self._script = script
        self._files = Files()
        self._batches = Batches(script, stats, self._files, loop)

    def use(self, script: Script) -> None:
        """Goes on under another script, with all files and batches."""
        self._script = script
        self._batches.use(script)

    def close(self) -> None:
        """Ends everything that is under way."""
        self._batches.close()

    def handle(self, connection: Connection, request: Request, action: str, azure: bool) -> None:
        """Answers; a reply to something new may come late, so that its client can be killed in between."""
        room, _, rest = action.partition("/")
        serve = self._serve_files if room == "files" else self._serve_batches
        status, body = serve(request, rest, azure)
        kind = b"application/octet-stream" if rest.endswith("/content") else JSON
        whole = render(status, body, content_type=kind)
        self._stats.statuses[status] += 1
        slow = self._script.batches.slow_upload_s if room == "files" else self._script.batches.slow_create_s
        if slow and request.method == "POST" and not rest:
            self._loop.call_later(slow, connection.reply, whole)
        else:
            connection.reply(whole)

    def _serve_files(self, request: Request, rest: str, azure: bool) -> Reply:
        identifier, _, part = rest.partition("/")
        if not identifier:
            return self._upload(request, azure) if request.method == "POST" else self._list_files(request)
        file = self._files.get(identifier)
        if file is None:
            return 404, _missing("file", azure)
        if request.method == "DELETE":
            self._files.remove(identifier)
            return 200, orjson.dumps({"id": identifier, "object": "file", "deleted": True})
        return 200, file.content if part == "content" else orjson.dumps(file.as_json())

    def _upload(self, request: Request, azure: bool) -> Reply:
        try:
            form = read_form(request.header(b"content-type").decode("latin-1"), request.body)
            (filename, content), (_, purpose) = form["file"], form["purpose"]
        except (ValueError, KeyError):
            return 400, replies.invalid(None, "The form needs the fields file and purpose.", "file", azure=azure)
        self._stats.totals["files_uploaded"] += 1
        return 200, orjson.dumps(self._files.add(filename, purpose.decode("latin-1"), content).as_json())

    def _list_files(self, request: Request) -> Reply:
        purpose = parse_qs(request.query).get("purpose", [None])[0]
        return 200, _page([each.as_json() for each in self._files.newest_first(purpose)], request)

    def _serve_batches(self, request: Request, rest: str, azure: bool) -> Reply:
        identifier, _, part = rest.partition("/")
        if not identifier and request.method == "POST":
            return self._create(request, azure)
        if not identifier:
            return 200, _page([each.as_json() for each in self._batches.newest_first()], request)
        batch = self._batches.get(identifier)
        if batch is None:
            return 404, _missing("batch", azure)
        if part == "cancel":
            self._batches.cancel(batch)
        return 200, orjson.dumps(batch.as_json())

    def _create(self, request: Request, azure: bool) -> Reply:
        try:
            asked = orjson.loads(request.body)
            file, endpoint = self._files.get(asked["input_file_id"]), str(asked["endpoint"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return 400, replies.invalid(None, "The body needs input_file_id and endpoint.", None, azure=azure)
        if file is None:
            return 404, _missing("file", azure)
        if self._batches.refuses(file):
            self._stats.refused_by["enqueued tokens"] += 1
            limit = self._script.batches.max_enqueued_tokens
            message = f"Enqueued token limit reached. Limit: {limit:,} enqueued tokens."
            return 429, replies.error(429, QUOTA, message, azure=azure, kind="invalid_request_error")
        return 200, orjson.dumps(self._batches.create(file, endpoint, asked.get("metadata") or {}).as_json())


def batch_action(path: str) -> tuple[bool, str] | None:
    """Whether a path of files or batches is Azure's, and what follows its prefix; None for any other path."""
    for prefix, azure in _PREFIXES:
        rest = path.removeprefix(prefix)
        if rest != path and rest.split("/")[0] in {"files", "batches"}:
            return azure, rest
    return None


def _page(rows: list[dict[str, Any]], request: Request) -> bytes:
    """A page of a list, as the cursor `after` and `limit` ask for it."""
    query = parse_qs(request.query)
    after, limit = query.get("after", [""])[0], int(query.get("limit", ["20"])[0])
    ids = [row["id"] for row in rows]
    start = ids.index(after) + 1 if after in ids else 0
    page = rows[start : start + limit]
    more = start + limit < len(rows)
    return orjson.dumps({"object": "list", "data": page, "has_more": more} | _ends(page))


def _ends(page: list[dict[str, Any]]) -> dict[str, str]:
    return {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}


def _missing(what: str, azure: bool) -> bytes:
    return replies.error(404, None, f"No such {what}.", azure=azure, kind="invalid_request_error")

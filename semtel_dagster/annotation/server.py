"""The annotation page's server: this machine only, one person, one notebook.

The address holds a secret, and requests for another host are refused, so that no page of the network can read a
conversation or give a label. What is written belongs in `notebook`, what is shown in the template.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from semtel_dagster.annotation.choosing import Item
from semtel_dagster.annotation.notebook import Notebook
from semtel_dagster.classifiers import Task

HOST = "127.0.0.1"
KEYS = "123456789abcdefghijklmnopqrstuvwxyz"
_MOST_BYTES = 10_000


@dataclass(frozen=True)
class Session:
    """What is labelled, and where it goes.

    Attributes:
        summary: Called once everything is labelled; until then no agreement is shown.
    """

    items: Sequence[Item]
    tasks: Sequence[Task]
    notebook: Notebook
    summary: Callable[[], list[dict[str, Any]]]

    def state(self, at: int | None = None) -> dict[str, Any]:
        """The question at a position, or the first that has no label; positions go through the tasks of each case."""
        total = len(self.items) * len(self.tasks)
        done = sum(self._label(place) is not None for place in range(total))
        if at is None:
            at = next((place for place in range(total) if self._label(place) is None), total)
        at = max(0, min(at, total))
        shown = {"annotator": self.notebook.annotator, "total": total, "done": done, "at": at}
        if at == total:
            return shown | {"question": None, "summary": self.summary() if done == total else None}
        return shown | {"question": self._question(at), "summary": None}

    def write(self, case: str, task: str, label: str) -> bool:
        """Keeps a label; False if there is no such case, task or label here."""
        item = next((each for each in self.items if each.case == case), None)
        asked = next((each for each in self.tasks if each.name == task), None)
        if item is None or asked is None or label not in [each.name for each in asked.labels]:
            return False
        self.notebook.write(case, task, label, item.inclusion_probability)
        return True

    def _place(self, at: int) -> tuple[Item, Task]:
        item, task = divmod(at, len(self.tasks))
        return self.items[item], self.tasks[task]

    def _label(self, at: int) -> str | None:
        item, task = self._place(at)
        return self.notebook.label(item.case, task.name)

    def _question(self, at: int) -> dict[str, Any]:
        item, task = self._place(at)
        labels = [
            {"key": KEYS[place] if place < len(KEYS) else "", "name": label.name, "definition": label.definition}
            for place, label in enumerate(task.labels)
        ]
        return {
            "case": item.case,
            "turns": [{"role": turn.role, "content": turn.content} for turn in item.turns],
            "task": task.name,
            "question": task.question,
            "labels": labels,
            "given": self._label(at),
        }


class AnnotationServer(ThreadingHTTPServer):
    """Serves one session; `url` is where the page is."""

    daemon_threads = True

    def __init__(self, session: Session, port: int = 0) -> None:
        """Binds to the loopback address; port 0 takes a free one."""
        super().__init__((HOST, port), _Handler)
        self.session = session
        self.token = secrets.token_urlsafe(16)
        self.host = f"{HOST}:{self.server_address[1]}"
        self.url = f"http://{self.host}/{self.token}/"


class _Handler(BaseHTTPRequestHandler):
    server: AnnotationServer

    def do_GET(self) -> None:
        """The page, or the state."""
        path = self._inside()
        if path == "":
            nonce = secrets.token_urlsafe(12)
            page = files("semtel_dagster.annotation").joinpath("templates/annotate.html").read_text(encoding="utf-8")
            self._send(200, page.replace("{{ nonce }}", nonce).encode(), "text/html; charset=utf-8", nonce)
        elif path == "state":
            at = parse_qs(urlsplit(self.path).query).get("at", [""])[0]
            self._json(200, self.server.session.state(int(at) if at.isdigit() else None))
        else:
            self._json(404, {"error": "nothing here"})

    def do_POST(self) -> None:
        """Keeps a label; answered once it is on disk."""
        length = self.headers.get("Content-Length") or ""
        if self._inside() != "label" or not length.isdigit() or int(length) > _MOST_BYTES:
            self._json(404, {"error": "nothing here"})
            return
        try:
            row = json.loads(self.rfile.read(int(length)))
            kept = self.server.session.write(str(row["case"]), str(row["task"]), str(row["label"]))
        except (ValueError, KeyError, TypeError):
            kept = False
        if kept:
            self._json(200, {"kept": True})
        else:
            self._json(400, {"error": "no such case, task or label"})

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the address holds the secret."""

    def _inside(self) -> str | None:
        """The path behind the secret; None for another host or a wrong secret."""
        path = urlsplit(self.path).path
        token = f"/{self.server.token}/"
        if self.headers.get("Host") != self.server.host or not secrets.compare_digest(path[: len(token)], token):
            return None
        return path[len(token) :]

    def _json(self, status: int, value: dict[str, Any]) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str, nonce: str = "") -> None:
        allowed = f"script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; " if nonce else ""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Content-Security-Policy", f"default-src 'none'; {allowed}connect-src 'self'")
        self.end_headers()
        self.wfile.write(body)

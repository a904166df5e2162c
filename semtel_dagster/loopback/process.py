"""Starting a loopback server as a process of its own, talking to its control paths, and stopping it.

The one module that tests, benchmarks and dry runs import, with `script`.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semtel_dagster.errors import SemtelError
from semtel_dagster.loopback.script import Script
from semtel_dagster.loopback.server import HOST

_PEAKS = {"elapsed_s"}
_LOGS = {"answer_log"}
_STOP_S = 5.0


@dataclass(frozen=True)
class LoopbackServer:
    """A running server (of one or more processes).

    Attributes:
        port: Where clients connect.
        admin_ports: One per process; its control paths.
        pids: The processes.
        scheme: http or https.
        trusted: File of the certificates that a client of https has to trust.
    """

    port: int
    admin_ports: tuple[int, ...]
    pids: tuple[int, ...]
    scheme: str = "http"
    trusted: Path | None = None

    @property
    def base_url(self) -> str:
        """The address to configure, `http://127.0.0.1:N/v1`."""
        return f"{self.root_url}/v1"

    @property
    def root_url(self) -> str:
        """The address without a path: Azure's base URL."""
        return f"{self.scheme}://{HOST}:{self.port}"

    def url_for(self, client: str) -> str:
        """A base URL whose calls `stats()["clients"]` counts apart under this name."""
        return f"{self.root_url}/as/{client}/v1"

    def stats(self, *, conversations: bool = True) -> dict[str, Any]:
        """Everything that was counted, summed over the processes.

        Args:
            conversations: False leaves out `conversations`, `paid`, `transcripts`, `paid_transcripts` and
                `paid_in_packs` (calls and billed calls by blake2b-16 in hex), which grow with the rows.
        """
        query = "" if conversations else "?conversations=0"
        total, *others = [self._ask(port, f"/_stats{query}") for port in self.admin_ports]
        for other in others:
            total = _add(total, other)
        return dict(total)

    def set_script(self, script: Script) -> None:
        """Changes the script from now on: fresh quotas, the clock begins anew, the counts go on."""
        body = script.divided(len(self.pids)).model_dump_json().encode()
        for port in self.admin_ports:
            self._ask(port, "/_script", "PUT", body)

    def reset(self) -> None:
        """Forgets the counts; quotas and clock begin anew."""
        for port in self.admin_ports:
            self._ask(port, "/_reset", "POST", b"")

    def _ask(self, port: int, path: str, method: str = "GET", body: bytes | None = None) -> Any:
        import ssl

        context = None
        if self.trusted is not None:
            context = ssl.create_default_context(cafile=str(self.trusted))
        request = urllib.request.Request(f"{self.scheme}://{HOST}:{port}{path}", data=body, method=method)
        # No proxy of the environment may come between.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(request, timeout=60) as reply:
            return json.load(reply)


@contextlib.contextmanager
def serve(
    script: Script | None = None,
    *,
    processes: int = 1,
    certificate: tuple[Path, Path] | None = None,
    trusted: Path | None = None,
) -> Iterator[LoopbackServer]:
    """Runs a server while the block runs.

    Args:
        script: What it does; unset: an ideal server.
        processes: So many processes share the port and the load. Each enforces its part of the limits, so an
            uneven spread of connections makes the whole stricter: use one where limits are the point.
        certificate: Files of a certificate for 127.0.0.1 and its key: serve TLS.
        trusted: File of the certificate's authority; unset: the certificate itself.

    Raises:
        SemtelError: A process ended before it listened.
    """
    script = script or Script()
    with contextlib.ExitStack() as stack:
        started: list[dict[str, int]] = []
        for _ in range(processes):
            port = started[0]["port"] if started else 0
            started.append(_start(stack, script.divided(processes), port, processes > 1, certificate))
        yield LoopbackServer(
            port=started[0]["port"],
            admin_ports=tuple(each["admin_port"] for each in started),
            pids=tuple(each["pid"] for each in started),
            scheme="https" if certificate else "http",
            trusted=trusted or (certificate[0] if certificate else None),
        )


def _start(
    stack: contextlib.ExitStack, script: Script, port: int, shared: bool, certificate: tuple[Path, Path] | None
) -> dict[str, int]:
    command = [sys.executable, "-m", "semtel_dagster.loopback", "--lifeline", "--port", str(port)]
    command += ["--shared"] if shared else []
    command += ["--certificate", str(certificate[0]), "--key", str(certificate[1])] if certificate else []
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    stack.callback(_stop, process)
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(script.model_dump_json() + "\n")
        process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise SemtelError(f"the loopback server ended before it listened, with code {process.wait()}")
    listening: dict[str, int] = json.loads(line)
    return listening


def _stop(process: subprocess.Popen[str]) -> None:
    """Ends a process that this module started, and only that one."""
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _add(left: Any, right: Any) -> Any:
    """Two processes' figures as one: numbers added, lists by position, logs joined, dictionaries key by key."""
    if isinstance(left, dict):
        return {
            key: max(left.get(key, 0), right.get(key, 0))
            if key in _PEAKS
            else left.get(key, right.get(key))
            if key not in left or key not in right or key == "bucket_s"
            else left[key] + right[key]
            if key in _LOGS
            else _add(left[key], right[key])
            for key in {**left, **right}
        }
    if isinstance(left, list):
        longer, shorter = (left, right) if len(left) >= len(right) else (right, left)
        return [_add(value, shorter[at]) if at < len(shorter) else value for at, value in enumerate(longer)]
    return left + right

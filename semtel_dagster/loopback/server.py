"""One server process: listens on 127.0.0.1, says where, serves until it is told to stop.

What it answers belongs in `service`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from semtel_dagster.loopback.script import Script
from semtel_dagster.loopback.service import Service
from semtel_dagster.loopback.wire import Connection

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Listening:
    """Where a process listens; `admin_port` reaches this very process when several share `port`."""

    port: int
    pid: int
    admin_port: int


@dataclass(frozen=True)
class Options:
    """How a process listens.

    Attributes:
        port: 0: any free one.
        shared: Others may listen on the same port; the kernel spreads the connections.
        certificate: Files of a certificate and its key: serve TLS.
        lifeline: Stop when standard input ends, so that no server outlives the process that started it.
    """

    port: int = 0
    shared: bool = False
    certificate: tuple[Path, Path] | None = None
    lifeline: bool = False


def run(script: Script, options: Options, announce: Callable[[Listening], None]) -> None:
    """Serves until SIGTERM or SIGINT; calls `announce` once the port is open."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(script, options, announce))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(script: Script, options: Options, announce: Callable[[Listening], None]) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    _allow_many_connections()
    service = Service(script, loop)
    tls = _context(options.certificate)

    def connection() -> Connection:
        return Connection(service.handle, service.opened, service.lost)

    server = await loop.create_server(connection, sock=_listen(options.port, options.shared), ssl=tls, backlog=8192)
    servers = [server]
    if options.shared:
        servers.append(await loop.create_server(connection, sock=_listen(0, False), ssl=tls))
    ports = [each.sockets[0].getsockname()[1] for each in servers]
    if options.lifeline:
        await loop.connect_read_pipe(lambda: _Lifeline(stopped), sys.stdin)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    announce(Listening(port=ports[0], pid=os.getpid(), admin_port=ports[-1]))
    await stopped.wait()
    for each in servers:
        each.close()


def _allow_many_connections() -> None:
    """Raises this process's limit of open files as far as it may."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _listen(port: int, shared: bool) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind((HOST, port))
    listening.setblocking(False)
    return listening


def _context(certificate: tuple[Path, Path] | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


class _Lifeline(asyncio.Protocol):
    """Stops the server when the starter's end of a pipe closes."""

    def __init__(self, stopped: asyncio.Event) -> None:
        self._stopped = stopped

    def connection_lost(self, exc: Exception | None) -> None:
        with contextlib.suppress(RuntimeError):
            self._stopped.set()

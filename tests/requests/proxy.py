"""A forward proxy in a process of its own: CONNECT for https, absolute addresses for http.

Run as a program it serves until its standard input closes; `serve_proxy` starts and stops it. Every request line that
came is kept in order, so that a test can prove what went through it and what did not.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Proxy:
    """A running proxy; `log` holds a request line per line."""

    port: int
    log: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def seen(self) -> list[str]:
        """The request lines so far, e.g. "CONNECT 127.0.0.1:4711"."""
        return self.log.read_text().splitlines()


@contextmanager
def serve_proxy(log: Path, *, login: str = "", status: int = 0, as_host: str = "") -> Iterator[Proxy]:
    """Runs a proxy while the block runs.

    Args:
        log: Where request lines go.
        login: "name:password" that clients must bring; unset: none.
        status: Refuse everything with this status; 0: serve.
        as_host: Connect to 127.0.0.1 where a client asks for this host, as a proxy does that alone knows its address.
    """
    log.touch()
    command = [sys.executable, "-m", "tests.requests.proxy", "--log", str(log), "--login", login]
    command += ["--status", str(status), "--as-host", as_host]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Proxy(int(process.stdout.readline()), log)
        finally:
            process.stdin.close()
            process.wait(30)


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, closing: bool = False) -> None:
    """Passes bytes on to their end; `closing` tells the client that this connection serves one call."""
    with suppress(OSError, asyncio.IncompleteReadError):
        if closing:
            status = await reader.readuntil(b"\r\n")
            writer.write(status + b"connection: close\r\n")
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()


def _target(address: str) -> tuple[str, int, str]:
    """Host, port and path of an absolute address, or of CONNECT's host:port."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return str(parts.hostname), parts.port or 80, path


async def _handle(given: argparse.Namespace, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").rstrip().split("\r\n")
    method, address, _ = line.split(" ")
    with given.log.open("a") as log:
        log.write(f"{method} {address}\n")
    sent = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    login = "Basic " + base64.b64encode(given.login.encode()).decode()
    status = given.status or (407 if given.login and sent.get("proxy-authorization") != login else 0)
    if status:
        writer.write(f"HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        writer.close()
        return
    host, port, path = _target(address)
    try:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1" if host == given.as_host else host, port)
    except OSError:
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()
        return
    if method == "CONNECT":
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    else:
        kept = [field for field in fields if not field.lower().startswith(("proxy-", "connection:"))]
        far_writer.write("\r\n".join([f"{method} {path} HTTP/1.1", *kept, "connection: close", "", ""]).encode())
    await asyncio.gather(_relay(reader, far_writer), _relay(far_reader, writer, closing=method != "CONNECT"))


async def _serve(given: argparse.Namespace) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await _handle(given, reader, writer)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--login", default="")
    parser.add_argument("--status", type=int, default=0)
    parser.add_argument("--as-host", default="")
    asyncio.run(_serve(parser.parse_args()))

"""Which HTTP client the hot path is built on: the same bodies through each, on our path.

    python benchmarks/transports.py [--rows 8000] [--in-flight 256 2000]

Each client runs in a child process, behind the same adapter: body rendered, sent, read, decoded into an outcome. 8 KB
prompts, 100 ms latency, servers in processes of their own. HTTP/1.1 plain and over TLS goes to the loopback server,
HTTP/2 to granian, which allows 100 calls on a connection, as most servers do. Clients that are no dependency lie in an
environment under benchmarks/.envs. CPU is the child's own, all threads, after a warm-up that opens the connections.
httpx2 and niquests run with 256 in flight at most.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import altair as alt
import polars as pl
from rich.console import Console
from rich.table import Table

from benchmarks.peers.adapters import CLIENTS, HTTP2, SLOW
from benchmarks.peers.environments import ENVIRONMENTS, python_of
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.network import CERTIFICATE_VARIABLES
from tests.requests.certificates import Certificate, certificate

HERE = Path(__file__).parent
RESULTS = HERE / "results"
SCRIPT = Script(latency={"median_s": 0.1, "sigma": 0.0})
STREAMS = 100
SLOW_SHARE = 6  # slow clients send so many times fewer rows
SLOW_IN_FLIGHT = 256  # their pools look through all connections at each call: with 2,000 they take minutes


@dataclass(frozen=True)
class Figure:
    """One client, one protocol, one concurrency."""

    client: str
    protocol: str
    in_flight: int
    cpu_ms: float
    per_second: float


@contextlib.contextmanager
def serve_http2(issued: Certificate) -> Iterator[str]:
    """granian with the answer of `peers/http2_app.py`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python_of("clients").parent / "granian", "--interface", "rsgi", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--ssl-certificate", issued.chain, "--ssl-keyfile", issued.key]
    command += ["--http2-max-concurrent-streams", str(STREAMS), "--loop", "uvloop", "--log-level", "error"]
    with subprocess.Popen([*command, "http2_app:app"], cwd=HERE / "peers") as process:
        try:
            _wait_for(port)
            yield f"https://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise SystemExit("granian does not listen")


def measure(client: str, protocol: str, base_url: str, rows: int, in_flight: int, authority: Path) -> Figure | str:
    """Runs a client in a child process; a string says why there is no figure."""
    count = max(rows // SLOW_SHARE, in_flight) if client in SLOW else rows
    others = next((ENVIRONMENTS / "clients" / "lib").glob("python*")) / "site-packages"
    environment = {
        **{name: value for name, value in os.environ.items() if name not in CERTIFICATE_VARIABLES},
        "PYTHONPATH": str(HERE.parent),
        "BENCHMARK_CLIENT": client,
        "BENCHMARK_HTTP2": str(int(protocol == "HTTP/2")),
        "BENCHMARK_PACKAGES": str(others),
    }
    if protocol != "HTTP/1.1":
        environment["SSL_CERT_FILE"] = str(authority)
    command = [sys.executable, HERE / "peers" / "ask_through.py", base_url, str(count), str(in_flight)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return "over 120 s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no reason given"])[-1][:60]
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    if figures["answered"] != count:
        return f"answered {figures['answered']} of {count}"
    return Figure(client, protocol, in_flight, figures["cpu_s"] / count * 1000, count / figures["wall_s"])


def measure_all(given: argparse.Namespace) -> list[Figure]:
    """Every client on every protocol that it speaks; prints each as it comes."""
    python_of("clients")
    figures: list[Figure] = []
    with contextlib.ExitStack() as stack:
        issued = certificate(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        servers = {
            "HTTP/1.1": stack.enter_context(serve(SCRIPT)).base_url,
            "HTTP/1.1 TLS": stack.enter_context(serve(SCRIPT, certificate=issued.pair)).base_url,
            "HTTP/2": stack.enter_context(serve_http2(issued)),
        }
        for protocol, base_url in servers.items():
            for client in HTTP2 if protocol == "HTTP/2" else CLIENTS:
                for in_flight in given.in_flight:
                    if client in SLOW and in_flight > SLOW_IN_FLIGHT:
                        continue
                    found = measure(client, protocol, base_url, given.rows, in_flight, issued.trusted)
                    print(found if isinstance(found, Figure) else f"{protocol}, {client}, {in_flight}: {found}")
                    if isinstance(found, Figure):
                        figures.append(found)
    return figures


def show(figures: list[Figure]) -> None:
    table = Table("protocol", "client", "in flight", "CPU ms / call", "calls / s")
    for figure in figures:
        numbers = (str(figure.in_flight), f"{figure.cpu_ms:.3f}", f"{figure.per_second:,.0f}")
        table.add_row(figure.protocol, figure.client, *numbers)
    Console().print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", table)


def draw(figures: list[Figure]) -> None:
    RESULTS.mkdir(exist_ok=True)
    bars = alt.Chart(pl.DataFrame(figures)).mark_bar()
    bars = bars.encode(
        x=alt.X("cpu_ms:Q", scale=alt.Scale(type="log"), title="CPU milliseconds per call, logarithmic"),
        y=alt.Y("client:N", sort="x", title=None),
        yOffset="in_flight:N",
        color="in_flight:N",
        row=alt.Row("protocol:N", title=None),
    )
    bars.properties(width=500).save(RESULTS / "transports.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=8_000)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[256, 2_000])
    figures = measure_all(parser.parse_args())
    show(figures)
    draw(figures)


if __name__ == "__main__":
    main()

"""CPU per conversation of the whole classify path, side by side with the clients that others use.

    python benchmarks/classify_cpu.py [--rows 30000] [--in-flight 2000] [--peer-rows 1500]

A loopback server with 100 ms latency in a process of its own; 8 KB prompts. Every client runs in a child process that
reports its own CPU (user and system, all threads and children), after it was warmed up. `ours` goes from Arrow batches
to flushed journal: look-up, body, rotation, limits, call, decoding, table rows, fsync. `bare` sends the same bodies
with the same client library and reads the replies, nothing else. The peers send the same prompt from environments of
their own (made at the first run, in a minute or two), on fewer rows, at several concurrencies of which the cheapest
counts. The server confirms that each client made its calls. Ratios within one run are what counts: the machine may be
busy.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import altair as alt
import polars as pl
from rich.console import Console
from rich.table import Table

from benchmarks.peers.environments import python_of
from semtel_dagster.loopback.process import LoopbackServer, serve
from semtel_dagster.loopback.script import Script

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PEERS = {
    "openai_default": "openai",
    "openai": "openai",
    "lm_deluge": "lm_deluge",
    "flexllm": "flexllm",
    "litellm": "litellm",
    "curator": "curator",
}
PEERS_IN_FLIGHT = (64, 256)
ROUNDS = 2


@dataclass(frozen=True)
class Figure:
    """One measured run of a client; `failed` says why there is none."""

    client: str
    in_flight: int
    cpu_ms: float = float("inf")
    per_second: float = 0.0
    failed: str = ""


def measure(client: str, python: Path, server: LoopbackServer, rows: int, in_flight: int) -> Figure:
    """Runs a client's script; its answers and the server's count must both be complete."""
    name = f"{client}-{in_flight}-{rows}-{os.urandom(3).hex()}"
    command = [python, HERE / "peers" / f"ask_{client}.py", server.url_for(name), str(rows), str(in_flight)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)} if python == Path(sys.executable) else dict(os.environ)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    if done.returncode:
        return Figure(client, in_flight, failed=_last_line(done.stderr))
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    answered = server.stats(conversations=False)["clients"][name]["answered"]
    if figures["answered"] != rows or answered < rows:
        return Figure(client, in_flight, failed=f"answered {figures['answered']} of {rows}")
    return Figure(client, in_flight, figures["cpu_s"] / rows * 1000, rows / figures["wall_s"])


def _last_line(said: str) -> str:
    return (said.strip().splitlines() or ["no reason given"])[-1][:60]


def measure_all(server: LoopbackServer, given: argparse.Namespace) -> list[Figure]:
    """Ours and the bare client in turns, then each peer at several concurrencies."""
    mine = Path(sys.executable)
    figures = [
        measure(client, mine, server, given.rows, given.in_flight) for _ in range(ROUNDS) for client in ("bare", "ours")
    ]
    figures += [measure(client, mine, server, given.rows // 2, 256) for client in ("bare", "ours")]
    for client, environment in PEERS.items():
        if given.peers is not None and client not in given.peers:
            continue
        try:
            python = python_of(environment)
        except subprocess.CalledProcessError as error:
            figures.append(Figure(client, 0, failed=_last_line(error.stderr.decode())))
            continue
        figures += [measure(client, python, server, given.peer_rows, at_once) for at_once in PEERS_IN_FLIGHT]
    return figures


def best(figures: list[Figure]) -> list[Figure]:
    """The cheapest run of each client, ours and the bare one apart by concurrency; cheapest first."""
    chosen: dict[tuple[str, int], Figure] = {}
    for figure in figures:
        key = (figure.client, figure.in_flight if figure.client in {"bare", "ours"} else 0)
        if key not in chosen or figure.cpu_ms < chosen[key].cpu_ms:
            chosen[key] = figure
    return sorted(chosen.values(), key=lambda figure: figure.cpu_ms)


def show(figures: list[Figure], in_flight: int) -> None:
    table = Table("client", "in flight", "CPU ms / call", "calls / s", "of ours", "of bare")
    measured = [figure for figure in figures if not figure.failed]
    by_name = {figure.client: figure.cpu_ms for figure in measured if figure.in_flight == in_flight}
    for figure in figures:
        if figure.failed:
            table.add_row(figure.client, str(figure.in_flight), figure.failed)
            continue
        ratios = [f"{figure.cpu_ms / by_name[name]:.1f}" if name in by_name else "" for name in ("ours", "bare")]
        table.add_row(
            figure.client, str(figure.in_flight), f"{figure.cpu_ms:.3f}", f"{figure.per_second:,.0f}", *ratios
        )
    Console().print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", table)


def draw(figures: list[Figure]) -> None:
    RESULTS.mkdir(exist_ok=True)
    bars = [
        {"client": f"{figure.client} ({figure.in_flight} in flight)", "ms": figure.cpu_ms}
        for figure in figures
        if not figure.failed
    ]
    chart = alt.Chart(pl.DataFrame(bars)).mark_bar()
    chart = chart.encode(
        x=alt.X("ms:Q", scale=alt.Scale(type="log"), title="CPU milliseconds per call, logarithmic"),
        y=alt.Y("client:N", sort="x", title=None),
    )
    chart.properties(width=600, title="CPU per conversation").save(RESULTS / "classify_cpu.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--in-flight", type=int, default=2_000)
    parser.add_argument("--peer-rows", type=int, default=1_500)
    parser.add_argument("--peers", nargs="*", choices=sorted(PEERS), help="only these; with none: ours alone")
    given = parser.parse_args()
    with serve(Script(latency={"median_s": 0.1, "sigma": 0.2})) as server:
        figures = best(measure_all(server, given))
    show(figures, given.in_flight)
    draw(figures)


if __name__ == "__main__":
    main()

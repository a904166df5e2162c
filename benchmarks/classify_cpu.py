"""CPU per conversation of the whole classify path, beside the bare client it is built on.

    python benchmarks/classify_cpu.py [--rows 20000] [--in-flight 2000]

A loopback server with 100 ms latency in processes of its own; 8 KB prompts. `path` goes from Arrow batches to flushed
journal (look-up, body, rotation, limits, call, decoding, table rows, fsync); `bare` sends the same bodies with the
same client and reads the replies, nothing else; `sdk` is the openai package's typed call, on fewer rows. CPU is the
process's own, all threads. Ratios within one run are what counts: the machine may be busy.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import altair as alt
import polars as pl
import pyarrow as pa
import uvloop
from rich.console import Console
from rich.table import Table

from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.body import compile_body
from semtel_dagster.requests.classify import ClassifyBatches
from tests.requests.builders import batches, endpoint, plan, prompt

RESULTS = Path(__file__).parent / "results"
FILL = "The quick brown fox jumps over the lazy dog. " * 178


def text(number: int) -> str:
    return f"{number} {FILL}"


def rows(count: int) -> Iterator[pa.RecordBatch]:
    for at in range(0, count, 1024):
        yield from batches([text(number) for number in range(at, min(at + 1024, count))], 1024)


def path(base_url: str, count: int, in_flight: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        a_plan = plan(folder, endpoint(base_url), requests={"max_in_flight": in_flight}, start_in_flight=in_flight)
        return sum(batch.num_rows for batch in ClassifyBatches(prompt(), a_plan)(rows(count)))


def bare(base_url: str, count: int, in_flight: int) -> int:
    from pyreqwest.client import ClientBuilder

    template = compile_body(prompt(), "m")

    async def main() -> int:
        client = ClientBuilder().pool_max_idle_per_host(in_flight).build()
        numbers = iter(range(count))
        answered = 0

        async def worker() -> None:
            nonlocal answered
            for number in numbers:
                body = template.render(text(number))
                headers = {"content-type": "application/json"}
                response = (
                    await client.post(f"{base_url}/chat/completions").headers(headers).body_bytes(body).build().send()
                )
                await response.bytes()
                answered += 1

        await asyncio.gather(*(worker() for _ in range(in_flight)))
        await client.close()
        return answered

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def sdk(base_url: str, count: int, in_flight: int) -> int:
    import openai

    async def main() -> int:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="none", timeout=120) as client:
            numbers = iter(range(count))

            async def worker() -> int:
                done = 0
                for number in numbers:
                    messages = [{"role": "user", "content": text(number)}]
                    await client.chat.completions.create(model="m", messages=messages, max_tokens=20)
                    done += 1
                return done

            return sum(await asyncio.gather(*(worker() for _ in range(in_flight))))

    return asyncio.run(main())


def measure(what: Callable[[str, int, int], int], base_url: str, count: int, in_flight: int) -> tuple[float, float]:
    """CPU milliseconds a call, and calls a second."""
    cpu, wall = time.process_time(), time.monotonic()
    assert what(base_url, count, in_flight) == count
    return (time.process_time() - cpu) / count * 1000, count / (time.monotonic() - wall)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--in-flight", type=int, default=2_000)
    given = parser.parse_args()
    table = Table("what", "in flight", "CPU ms / call", "calls / s", "of bare")
    figures = []
    with serve(Script(latency={"median_s": 0.1, "sigma": 0.2})) as server:
        path(server.base_url, 500, 100)
        runs = [(bare, given.rows, given.in_flight), (path, given.rows, given.in_flight)] * 2
        runs += [(sdk, given.rows // 20, 200)]
        base = 0.0
        for what, count, in_flight in runs:
            cpu, rate = measure(what, server.base_url, count, in_flight)
            base = cpu if what is bare else base
            table.add_row(what.__name__, str(in_flight), f"{cpu:.3f}", f"{rate:,.0f}", f"{cpu / base:.2f}")
            figures.append({"what": what.__name__, "cpu_ms": cpu})
    Console().print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", table)
    RESULTS.mkdir(exist_ok=True)
    chart = alt.Chart(pl.DataFrame(figures)).mark_bar().encode(x="min(cpu_ms):Q", y=alt.Y("what:N", sort="x"))
    chart.properties(width=600, title="CPU milliseconds per conversation").save(RESULTS / "classify_cpu.png")


if __name__ == "__main__":
    main()

"""kill -9 at random moments, then resume: is an answer older than a second ever paid for twice?

    python benchmarks/crash.py [--kills 20] [--rows 8000]

One journal. A run is killed with SIGKILL at a random moment of its work, again and again, then left to end. The server
keeps the time of each answer it sends (CLOCK_MONOTONIC, which all processes of a machine share). An answer was paid
for twice if its conversation was answered again later; its age is how long before the kill it had been sent. Answers
that were under way at a kill have no age: no client can save those. Printed are the oldest answer that was lost, and
whether the final table equals that of an undisturbed run. The plot shows the age of every lost answer, kill by kill.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from semtel_dagster.loopback.process import LoopbackServer, serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.classify import ClassifyBatches
from tests.requests.builders import batches, endpoint, plan, prompt, texts

RESULTS = Path(__file__).parent / "results"
SAME = ["content_hash", "raw_text", "status", "model", "prompt_fingerprint"]
AGE_S = 1.0
LONGEST_LIFE_S = 4.0
IN_FLIGHT = 64


@dataclass(frozen=True)
class Loss:
    """An answer that was paid for again.

    Attributes:
        kill: The kill after it, from 1.
        why: "under way": it was sent to a run that was dead; "timeout": the run that asked was alive and asked
            again itself; "kill": it was not in the journal yet.
        age: Seconds from its sending to the kill.
    """

    kill: int
    why: str
    age: float = 0.0


def losses(log: Sequence[tuple[str, float, float]], kills: Sequence[float]) -> list[Loss]:
    """Every answer of the server's log that was followed by another one about the same conversation.

    Args:
        log: Conversation, when its answer was sent, when the connection was made: that tells whose answer it was.
        kills: When the runs were killed.
    """
    sent: dict[str, list[tuple[float, float]]] = {}
    for conversation, at, connected_at in log:
        sent.setdefault(conversation, []).append((at, connected_at))
    lost = []
    for answers in sent.values():
        for (at, connected_at), (again, _) in pairwise(answers):
            kill = bisect_left(kills, connected_at)
            if kill == len(kills) or again < kills[kill]:
                lost.append(Loss(kill + 1, "timeout"))
            elif at >= kills[kill]:
                lost.append(Loss(kill + 1, "under way"))
            else:
                lost.append(Loss(kill + 1, "kill", kills[kill] - at))
    return lost


def classify(folder: str, base_url: str, rows: int, in_flight: int = IN_FLIGHT) -> pa.Table:
    requests = {"max_in_flight": in_flight}
    a_plan = plan(folder, endpoint(base_url), requests=requests, start_in_flight=in_flight, hedge=False)
    return pa.Table.from_batches(list(ClassifyBatches(prompt(), a_plan)(batches(texts(rows)))))


def kill_at_random(server: LoopbackServer, command: list[str], chance: random.Random) -> float | None:
    """Starts a run and kills it some time after its first call; when, or None if it had ended."""
    calls = server.stats(conversations=False)["calls"]
    process = subprocess.Popen(command)
    while process.poll() is None and server.stats(conversations=False)["calls"] == calls:
        time.sleep(0.02)
    time.sleep(chance.uniform(0.0, LONGEST_LIFE_S))
    if process.poll() is not None:
        return None
    at = time.monotonic()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return at


def draw(lost: list[Loss]) -> None:
    import altair as alt
    import polars as pl

    records = [{"kill": each.kill, "age, s": each.age} for each in lost if each.why == "kill"]
    points = alt.Chart(pl.DataFrame(records)).mark_tick().encode(x="kill:O", y="age, s:Q")
    bound = alt.Chart(pl.DataFrame({"age, s": [AGE_S]})).mark_rule(strokeDash=[4, 4]).encode(y="age, s:Q")
    RESULTS.mkdir(exist_ok=True)
    (points + bound).properties(width=600, title="Answers paid for twice: age at the kill").save(RESULTS / "crash.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rows", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--worker", nargs=2)
    given = parser.parse_args()
    if given.worker:
        classify(*given.worker, given.rows)
        return
    chance = random.Random(given.seed)
    script = Script(latency={"median_s": 0.3, "sigma": 0.3}, log_answers=True)
    with serve(script) as server, tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        command = [sys.executable, __file__, "--rows", str(given.rows), "--worker", folder, server.base_url]
        ended = [kill_at_random(server, command, chance) for _ in range(given.kills)]
        time.sleep(1.0)
        resumed = classify(folder, server.base_url, given.rows, 8 * IN_FLIGHT)
        stats = server.stats()
        undisturbed = classify(other, server.base_url, given.rows, 8 * IN_FLIGHT)
    kills = [at for at in ended if at is not None]
    lost = losses(stats["answer_log"], kills)
    ages = sorted(each.age for each in lost if each.why == "kill")
    why = Counter(each.why for each in lost)
    same = resumed.select(SAME).sort_by("content_hash") == undisturbed.select(SAME).sort_by("content_hash")
    table = Table(
        "kills", "rows", "answers paid", "under way twice", "timed out twice", "lost by a kill", "oldest, s",
        f"over {AGE_S:g} s", "table",
    )  # fmt: skip
    old = sum(age > AGE_S for age in ages)
    table.add_row(
        str(len(kills)), f"{resumed.num_rows:,}", f"{len(stats['answer_log']):,}", str(why["under way"]),
        str(why["timeout"]), str(len(ages)), f"{ages[-1] if ages else 0:.2f}", str(old),
        "the same" if same else "DIFFERENT",
    )  # fmt: skip
    Console(width=130).print(table, f"load {os.getloadavg()[0]:.1f}")
    draw(lost)
    assert len(kills) == given.kills, "a run ended before its kill: give more rows"
    assert same
    assert old == 0, f"{old} answers older than {AGE_S:g} s were paid for twice"


if __name__ == "__main__":
    main()

"""A backfill that is `kill -9`ed at random moments and launched again, against one that nobody disturbs.

    python benchmarks/backfill_kill.py                       # 26 weeks x 3 classifiers, killed twice; 4 to 5 minutes
    python benchmarks/backfill_kill.py --weeks 6 --kills 1   # a minute

Both run `semtel backfill` as a user does, each in its own folder against its own loopback server, side by side. A
moment is a number of calls, drawn at random (--seed), so that it lies in the middle of the work on any machine. What
must hold: nothing is paid for twice but what was in flight or not yet synced (the flush interval), and the tables are
the same, row for row, but for what tells how an answer was fetched. Exits with 1 where it does not hold. Writes
benchmarks/results/backfill_kill.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml

from semtel_dagster.loopback.process import LoopbackServer, serve
from semtel_dagster.loopback.script import Latency, Script

RESULTS = Path(__file__).parent / "results"
CLASSIFIERS = ["complexity", "intent", "topic"]
TABLES = {
    "distinct_conversations": None,
    "duplicate_groups": None,
    "responses": ["content_hash", "prompt_fingerprint", "model", "raw_text", "status", "input_tokens", "output_tokens"],
    "labels": None,
    "label_shares": None,
}
IN_FLIGHT, FLUSH_S, LATENCY_S = 4, 0.5, 0.2
OURS = ("SEMTEL_", "DAGSTER_", "OPENAI_")


@dataclass(frozen=True)
class Work:
    """A project folder with its own server."""

    folder: Path
    server: LoopbackServer

    def start(self) -> subprocess.Popen[bytes]:
        """`semtel backfill`, in a session of its own."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "semtel_dagster", "backfill"],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def calls(self) -> int:
        return int(self.server.stats(conversations=False)["calls"])

    def end_of_log(self) -> str:
        return (self.folder / "log.txt").read_text(errors="replace")[-2000:]

    def table(self, name: str, columns: list[str] | None) -> pl.DataFrame:
        rows = pl.read_parquet(f"{self.folder}/data/{name}/**/*.parquet", hive_partitioning=True)
        keys = [column for column in ("week", "classifier") if column in rows.columns]
        kept = rows.select(*keys, *columns) if columns else rows
        comparable = [name for name, kind in kept.schema.items() if not kind.is_nested()]
        return kept.select(comparable).sort(comparable)


def project(folder: Path, weeks: int, rows: int, server: LoopbackServer) -> Work:
    """The newest complete weeks, so many conversations in each."""
    folder.mkdir()
    monday = dt.date.today() - dt.timedelta(days=dt.date.today().weekday() + 7)
    mondays = [monday - dt.timedelta(days=7 * back) for back in range(weeks)]
    lines = []
    for place, week in enumerate(mondays):
        for number in range(rows):
            question = f"How do I paint wall number {(place * rows + number) * 31}?"
            roles = [{"role": "user", "content": question}, {"role": "assistant", "content": "Twice, with care."}]
            lines.append(
                json.dumps(
                    {
                        "conversation_id": f"c{place:03}-{number:03}",
                        "user_id": f"u{number}",
                        "started_at": f"{week}T09:00:00Z",
                        "messages": roles,
                    }
                )
            )
    (folder / "source.jsonl").write_text("\n".join(lines), encoding="utf-8")
    settings = {
        "storage": "./data",
        "first_week": mondays[-1].isoformat(),
        "source": {"path": "source.jsonl"},
        "classifiers": CLASSIFIERS,
        "dedupe": {"embedding": "none"},
        "requests": {"flush_s": FLUSH_S},
        "endpoints": [{"name": "east", "base_url": server.base_url, "model": "loopback", "max_in_flight": IN_FLIGHT}],
    }
    (folder / "semtel.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return Work(folder, server)


def disturbed(work: Work, moments: list[int]) -> None:
    """Kills it when so many calls were made, and launches it again."""
    for moment in moments:
        process = work.start()
        while work.calls() < moment:
            if process.poll() is not None:
                sys.exit(f"it ended before it was killed: {work.end_of_log()}")
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    finish(work.start(), work)


def finish(process: subprocess.Popen[bytes], work: Work) -> None:
    """Waits for its end."""
    if process.wait() != 0:
        sys.exit(f"semtel backfill failed: {work.end_of_log()}")


def paid_again(work: Work) -> int:
    """Answers that were paid for beyond the first, over all classifiers: a conversation is due once for each."""
    paid = work.server.stats()["paid"].values()
    return sum(max(0, times - len(CLASSIFIERS)) for times in paid)


def differing(one: Work, other: Work) -> list[str]:
    """Tables that are not the same."""
    return [name for name, columns in TABLES.items() if not one.table(name, columns).equals(other.table(name, columns))]


def main() -> None:
    """Runs both, compares, writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=26)
    parser.add_argument("--rows", type=int, default=5, help="conversations a week")
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=None, help="unset: another moment every time; it is told")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(10_000)
    due = options.weeks * options.rows * len(CLASSIFIERS)
    moments = sorted(random.Random(seed).sample(range(due // 20, due * 19 // 20), options.kills))
    script = Script(latency=Latency(median_s=LATENCY_S, sigma=0.3))
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, serve(script) as first, serve(script) as second:
        calm = project(Path(folder, "calm"), options.weeks, options.rows, first)
        rough = project(Path(folder, "rough"), options.weeks, options.rows, second)
        beside = calm.start()
        disturbed(rough, moments)
        finish(beside, calm)
        again, calls = paid_again(rough), rough.calls()
        calm_calls = calm.calls()
        bound = options.kills * round(IN_FLIGHT * (1 + 2 * FLUSH_S / LATENCY_S))
        different = differing(calm, rough)
        labels = rough.table("labels", None).height
    lines = [
        f"seed {seed}: killed after {', '.join(map(str, moments))} of {due} calls; {time.monotonic() - started:.0f} s",
        "",
        "| | undisturbed | killed and launched again |",
        "| --- | --- | --- |",
        f"| calls ({due} due) | {calm_calls} | {calls} |",
        f"| paid for again | 0 | {again} (at most {bound}: in flight, or within two flush intervals) |",
        f"| labels | {labels} | {labels} |",
        f"| tables that differ | | {', '.join(different) or 'none'} of {len(TABLES)} |",
    ]
    print("\n".join(lines))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "backfill_kill.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.exit(1 if different or again > bound or calm_calls != due else 0)


if __name__ == "__main__":
    main()

"""Every table of every stage from Polars and from Spark, on all conversations of two data sets: are they equal?

    python -m benchmarks.parity [--data sharegpt recllmsim] [--engines local cluster connect] [--across local]

Polars computes all stages, each from the tables of the stage before: the reference. So does each kind of Spark from its
own tables: in this process, on a cluster of two workers, and by Spark Connect. The source is read week by week; what
follows takes the eight weeks as one, so that a table is as large as the data allow. Near duplicates are searched at
cosine .8, where groups are many: by all pairs, and by cells, as from twenty thousand conversations on. Answers come
from a loopback server, by a hash of the transcript, some of them dirty, some refused for what the row holds. The engine
`--across` then computes each stage from what Polars wrote, and Polars from what that engine wrote.

Tables are compared row by row: types, order where the table promises one, and values, floating-point numbers to 1e-9 of
themselves. Only what a run measures about a call (`latency_s`, `attempts`) may differ. Ends with code 1 on a
difference. Prints a table; benchmarks/results/parity.md keeps the last result of each data set and engine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.own_answers import RESULTS, markdown, shared
from benchmarks.parity_run import SAMPLING, SCRIPT, Ask, Run, WholeChain
from benchmarks.table_differences import compare
from semtel_dagster.engines.base import Engine
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.loopback.process import serve
from tests.engines.sessions import engine_of

KINDS = ["local", "cluster", "connect"]
# Columns that name a row, and whether the table promises an order.
TABLES: dict[str, tuple[list[str], bool]] = {
    "conversations": (["conversation_id"], False),
    "rejected_conversations": (["source", "position"], False),
    "sampled_conversations": (["conversation_id"], False),
    "truncated_conversations": (["conversation_id"], False),
    "conversation_embeddings": (["content_hash"], True),
    "distinct_conversations": (["content_hash"], True),
    "duplicate_groups": (["conversation_id"], True),
    "responses": (["content_hash"], True),
    "labels": (["conversation_id", "task"], True),
    "label_shares": (["task", "segment", "label"], True),
}
MEASURED = {"responses": ["latency_s", "attempts"]}


@dataclass(frozen=True)
class Result:
    """A table of one engine beside the one of Polars.

    Attributes:
        data: The name of the conversations.
        engine: Who computed, and from whose tables.
        table: The path below the storage.
        rows: In all partitions.
        rounded: Floating-point numbers that differ in their last digits.
        difference: The first one, and where; None where there is none.
        seconds: That the engine took for the stage.
    """

    data: str
    engine: str
    table: str
    rows: int
    rounded: int
    difference: str | None
    seconds: float


def results(data: str, name: str, run: Run, reference: Path) -> Iterator[Result]:
    """Runs, and compares with the reference as soon as a stage is there."""
    for folders, seconds in run.stages():
        for table in sorted({folder.parent for folder in folders}):
            key, ordered = TABLES[table.name]
            ignored = MEASURED.get(table.name, [])
            found = {
                folder.name: compare(reference / folder, run.into / folder, key, ordered=ordered, ignored=ignored)
                for folder in folders
                if folder.parent == table
            }
            first = next((f"{week}: {each.difference}" for week, each in found.items() if each.difference), None)
            rows, rounded = (sum(getattr(each, figure) for each in found.values()) for figure in ("rows", "rounded"))
            yield Result(data, name, str(table), rows, rounded, first, round(seconds, 1))


def compared(data: str, kinds: list[str], across: str) -> Iterator[Result]:
    """Polars' tables against those of each kind of Spark, for one data set."""
    source = shared(f"{data}/conversations.parquet")
    with ExitStack() as open_:
        folder = Path(open_.enter_context(tempfile.TemporaryDirectory()))
        server = open_.enter_context(serve(SCRIPT))

        def run(engine: Engine, reads: str, writes: str) -> Run:
            asks = Ask(server.base_url, folder / f"journal-{writes}")
            chain = WholeChain(engine, source, folder / reads, sampling=SAMPLING[data], ask=asks)
            return Run(chain, folder / writes)

        reference = folder / "polars"
        yield from results(data, "polars", run(PolarsEngine(), "polars", "polars"), reference)
        for kind in kinds:
            own = folder / "of-spark" / kind
            own.mkdir(parents=True)
            with engine_of(kind, own) as engine:
                yield from results(data, kind, run(engine, kind, kind), reference)
                if kind == across:
                    yield from results(data, f"{kind}, of polars' tables", run(engine, "polars", "across"), reference)
            if kind == across:
                again = run(PolarsEngine(), kind, "back")
                yield from results(data, f"polars, of {kind}'s tables", again, reference)


def kept(new: list[Result], path: Path) -> list[Result]:
    """These results and, of other data sets and engines, the last ones before."""
    old = [Result(**row) for row in json.loads(path.read_text("utf-8"))] if path.exists() else []
    mine = {(each.data, each.engine) for each in new}
    found = sorted([*(each for each in old if (each.data, each.engine) not in mine), *new], key=lambda each: each.data)
    path.write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n", encoding="utf-8")
    return found


def cells(result: Result) -> dict[str, object]:
    verdict = result.difference or ("equal" if not result.rounded else f"equal, {result.rounded} numbers to 1e-9")
    return {
        "data": result.data,
        "engine": result.engine,
        "table": result.table,
        "rows": f"{result.rows:,}",
        "against Polars": verdict if result.engine != "polars" else "the reference",
        "stage's seconds": f"{result.seconds:.1f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=list(SAMPLING), default=list(SAMPLING))
    parser.add_argument("--engines", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--across", choices=["none", *KINDS], default="local", help="if it is among the engines")
    given = parser.parse_args()
    found = []
    for data in given.data:
        for result in compared(data, given.engines, given.across):
            found.append(result)
            print(*cells(result).values(), sep=" | ", file=sys.stderr, flush=True)
    RESULTS.mkdir(exist_ok=True)
    everything = kept(found, RESULTS / "parity.json")
    (RESULTS / "parity.md").write_text(markdown([cells(each) for each in everything]) + "\n", encoding="utf-8")
    table = Table(*cells(found[0]))
    for each in found:
        table.add_row(*map(str, cells(each).values()))
    Console(width=160).print(table)
    different = [each for each in found if each.difference]
    print(f"{len(found) - len(different)} of {len(found)} equal")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()

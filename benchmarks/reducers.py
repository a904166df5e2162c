"""All cost reducers, alone and together: what each saves, what it loses, and whether tuning keeps its promise.

    python benchmarks/reducers.py [--count 600] [--size-loss 0.0001] [--live 12] [--embedded 200]
    python benchmarks/reducers.py --keep folder --minutes 3      # in several goes; the last one has it all

ShareGPT conversations with four classifiers; CLINC150 domains and HWU64 scenarios with people's labels. They are asked
through the request engine of a scripted server with a known confusion: single calls are right on 90 % of labels (always
wrong on the same conversations); a label is lost with probability `--size-loss` for each other conversation in the
prompt and up to `--position-loss` more towards the prompt's end; a cut transcript loses `--cut-loss` of its labels,
times the part that was cut. Flips are between two runs that form other packs; the server itself is steady.

Then `semtel tune` 200 times: each repeat draws conversations with replacement from the recorded answers, chooses a way
for the wanted agreement, and counts as broken when the chosen way's agreement on all of them is under it in any task:
for `--agreement`, and for an agreement that the cheapest way misses by .05 points, which is the hardest case. Then for
`--agreement` with a server that loses a hundred times more for each companion: at ten to a prompt two runs then differ
on about 17 % of labels, as others saw of hosted models.

Single calls also go through the server's files and batches, whole and at the smallest budget. The cascade's student
learns people's labels of other conversations; what it is not sure of is asked, singly and in packs. `--live` asks a
real small language model about a few requests (`reducers_live`), `--embedded` the embedded model. The column `right`
is the agreement with people on CLINC150 and HWU64, with the server's made-up truth on ShareGPT. The seconds are wall
time, each way's whole; the scripted server answers after 20 ms at the median and works a batch off in two seconds.

Needs shared/data beside the checkout. Writes benchmarks/results/reducers.md, .json and .png.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from rich.console import Console

from benchmarks import reducers_live as at_hand
from benchmarks.reducers_asked import Kept, Recorded, TimeIsOver, add_batched, plan_to, record, sure_of
from benchmarks.reducers_data import CHECKOUT, GOLDEN, Data, golden, make_golden, script, sharegpt, with_truth
from benchmarks.reducers_shown import Results, Row, rows_of, show
from benchmarks.reducers_tuned import just_missed, tuned
from semtel_dagster.loopback.process import LoopbackServer, serve
from semtel_dagster.tuning.ways import SINGLE, Way

HOPELESS = 0.03  # a way that agrees so much less than wanted passes in no draw


def data_set(name: str, folder: Path, path: Path, count: int) -> Data:
    return golden(name, folder, path, count) if name in GOLDEN else with_truth(sharegpt(folder, path, count))


def switched(data: Data, server: LoopbackServer, kept: Kept) -> tuple[Recorded, list[Row]]:
    """Every switch, alone and together, asked twice."""
    plan = plan_to(server.base_url)
    recorded = record(data, plan, data.sequences(), kept=kept)
    for text in (SINGLE, *(Way(max_tokens=budget) for budget in data.sample.budgets[-1:])):
        add_batched(recorded, text, plan, kept=kept)
    rows = rows_of(recorded)
    if data.others:
        known = sure_of(data)
        ways = (SINGLE, *(Way(cascade=True, pack=size) for size in (1, 8, 32)))
        with_students = record(data, plan, (ways,), known=known, kept=kept)
        rows += rows_of(with_students, len(next(iter(known.values()))) / len(data.sample))[1:]
    return recorded, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=600, help="conversations of a data set")
    parser.add_argument("--size-loss", type=float, default=0.0001)
    parser.add_argument("--position-loss", type=float, default=0.002)
    parser.add_argument("--cut-loss", type=float, default=0.006)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--samples", type=int, nargs="+", default=[1_000, 2_000], help="conversations of each tuning")
    parser.add_argument("--agreement", type=float, default=0.98)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--live", type=int, default=0, help="requests that the real small model is asked about")
    parser.add_argument("--embedded", type=int, default=0, help="conversations that the embedded model is asked about")
    parser.add_argument("--sets", nargs="*", default=["ShareGPT", *GOLDEN], help="asked by the scripted server")
    parser.add_argument("--keep", type=Path, help="keep answers here; another run with the same options goes on")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="ask nothing more after so long")
    parser.add_argument("--add", action="store_true", help="keep the tables of earlier runs beside those of this one")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    console, path = Console(width=170), make_golden.find_data()
    if path is None:
        raise SystemExit("shared/data is not beside this checkout")
    kept = Kept(given.keep, time.monotonic() + 60 * given.minutes)
    results = Results(CHECKOUT / "benchmarks" / "results", fresh=not given.add)

    def see(title: str, rows: list[Row]) -> None:
        results.rows[title] = rows
        show(title, rows, console)
        results.write()

    with tempfile.TemporaryDirectory() as folder, serve() as server:
        for name in given.sets:
            data = data_set(name, Path(folder, name), path, given.count)
            server.set_script(script(data, given, given.size_loss))
            recorded, rows = switched(data, server, kept)
            see(f"{name}, scripted server: {given.count:,} conversations, {', '.join(data.prompts)}", rows)
            worse = data_set(name, Path(folder, f"{name}, worse"), path, given.count)
            server.set_script(script(worse, given, 100 * given.size_loss))
            enough = given.agreement - HOPELESS
            often = record(worse, plan_to(server.base_url), worse.sequences(), repeats=1, enough=enough, kept=kept)
            told = results.told[name] = []
            for size in given.samples:
                tunings = [(recorded, given.agreement, name), (recorded, just_missed(recorded), name),
                           (often, given.agreement, f"{name}, 100 times the loss to company")]  # fmt: skip
                for one, wanted, title in tunings:
                    told.append(tuned(one, given, wanted, size, title))
                    console.print(told[-1], highlight=False)
            results.write()
        models = ((at_hand.small_model, given.live), (at_hand.embedded_model, given.embedded))
        for number, (ask, count) in enumerate(models):
            for title, rows in ask(Path(folder, f"live {number}"), path, count, kept) if count else ():
                see(title, rows)


if __name__ == "__main__":
    try:
        main()
    except TimeIsOver as missing:
        raise SystemExit(f"not asked yet: {missing}; run it again to go on") from None

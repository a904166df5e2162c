"""All cost reducers, alone and together: what each saves, what it loses, and whether tuning keeps its promise.

    python benchmarks/reducers.py [--count 600] [--size-loss 0.0001] [--live 12]

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

The cascade's student learns people's labels of other conversations; what it is sure of needs no call, the rest is taken
from the answers recorded for the way it is joined with, with that part of their calls and tokens. With `--live` a real
small model (the tests' SmolLM2, labels near chance) is asked about a few requests. Needs shared/data beside the
checkout. Plot: benchmarks/results/reducers.png.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

CHECKOUT = Path(__file__).parent.parent
sys.path[:0] = [str(CHECKOUT / "evals"), str(CHECKOUT)]

import make_golden  # noqa: E402

from semtel_dagster.cascade.fitting import calibrated, fit  # noqa: E402
from semtel_dagster.cascade.guarantee import choose as choose_threshold  # noqa: E402
from semtel_dagster.classifiers import CompiledPrompt, Task  # noqa: E402
from semtel_dagster.embedding.embedded import EmbeddedProvider  # noqa: E402
from semtel_dagster.loopback.process import serve  # noqa: E402
from semtel_dagster.loopback.script import Script  # noqa: E402
from semtel_dagster.prompts.loader import load_classifiers  # noqa: E402
from semtel_dagster.requests.plan import RequestPlan  # noqa: E402
from semtel_dagster.settings import EndpointSettings, Price, RequestSettings, Settings  # noqa: E402
from semtel_dagster.transcript import Turn  # noqa: E402
from semtel_dagster.tuning.asking import Labels, Said, ask  # noqa: E402
from semtel_dagster.tuning.choosing import choose  # noqa: E402
from semtel_dagster.tuning.measuring import Measured, Rate, agreement, measure  # noqa: E402
from semtel_dagster.tuning.sample import Sample  # noqa: E402
from semtel_dagster.tuning.ways import SINGLE, Chain, Way, chains, texts_of  # noqa: E402

PRICE = Price(input=0.15, cached_input=0.075, output=0.60)
BATCH_PRICE = 0.5
ACCURACY = 0.9
SIZES = (1, 4, 8, 16, 32)
SHAREGPT = ("topic", "intent", "complexity", "expertise")
GOLDEN = {"CLINC150": "clinc_domain", "HWU64": "hwu_scenario"}
LEARNED, TUNED = 0.6, 0.05  # shares of the labelled requests outside the sample; the rest is held out
PROMISE = 0.98
RANDOM_SHARE = 0.02
HOPELESS = 0.03  # a way that agrees so much less than wanted passes in no draw


@dataclass(frozen=True)
class Data:
    """Conversations, and what is true about them.

    Attributes:
        name: Of the data set.
        prompts: The classifiers' prompts.
        sample: The conversations.
        truth: By task, then conversation.
        others: Requests with people's labels that are not in the sample, for the cascade.
    """

    name: str
    prompts: Mapping[str, CompiledPrompt]
    sample: Sample
    truth: Mapping[str, Mapping[str, str]]
    others: Sequence[tuple[str, str]] = ()

    @property
    def tasks(self) -> list[Task]:
        return [task for prompt in self.prompts.values() for task in prompt.classifier.tasks]

    def sequences(self) -> tuple[Chain, ...]:
        texts = texts_of(self.sample.budgets, compress=self.sample.compresses)
        return chains(texts, combine=len(self.prompts) > 1, sizes=SIZES)


def sharegpt(folder: Path, data: Path, count: int) -> Data:
    rows = pl.read_parquet(data / "sharegpt" / "conversations.parquet").filter(pl.col("complete"))
    chosen = rows.sort(pl.col("conversation_id").hash(seed=1)).head(count)
    turns = {
        case: [Turn(message["role"], message["content"]) for message in messages]
        for case, messages in chosen.select("conversation_id", "messages").iter_rows()
    }
    prompts = load_classifiers(names=SHAREGPT)
    tasks = [task for prompt in prompts.values() for task in prompt.classifier.tasks]
    truth = {task.name: {case: pick(task, f"truth {case}") for case in turns} for task in tasks}
    return Data("ShareGPT", prompts, Sample(turns, Settings(storage=str(folder))), truth)


def golden(name: str, folder: Path, data: Path, count: int) -> Data:
    classifier = GOLDEN[name]
    path, make = make_golden.SETS[classifier]
    rows = list(make(make_golden.chosen(make_golden.read(data / path), classifier, 10**9)))
    sample = {row["conversation_id"]: [Turn("user", row["conversation"][0]["content"])] for row in rows[:count]}
    truth = {classifier: {row["conversation_id"]: row["label"] for row in rows[:count]}}
    prompts = load_classifiers(CHECKOUT / "evals" / "prompts", [classifier])
    asked = {turns[0].content for turns in sample.values()}
    texts = [(row["conversation"][0]["content"], row["label"]) for row in make(make_golden.read(data / path))]
    others = sorted((each for each in texts if each[0] not in asked), key=lambda each: unit(each[0]))
    return Data(name, prompts, Sample(sample, Settings(storage=str(folder))), truth, others)


def unit(words: str) -> float:
    return int.from_bytes(blake2b(words.encode(), digest_size=8).digest(), "big") / 2**64


def pick(task: Task, words: str, but: str | None = None) -> str:
    names = [label.name for label in task.labels if label.name != but]
    return names[int(unit(f"{task.name} {words}") * len(names))]


def script(data: Data, given: argparse.Namespace, size_loss: float) -> Script:
    """What the server says about each transcript: the model's single label, or another where cutting lost it."""
    told: dict[str, dict[str, str]] = {}
    whole = lengths(data.sample, SINGLE)
    for way in texts_of(data.sample.budgets, compress=data.sample.compresses):
        hashes, left = data.sample.cut(way).hashes, lengths(data.sample, way)
        for case, key in hashes.items():
            told[key] = {}
            for task in data.tasks:
                label = data.truth[task.name][case]
                if unit(f"wrong {task.name} {case}") >= ACCURACY:
                    label = pick(task, f"error {case}", label)
                if unit(f"cut {task.name} {case}") < given.cut_loss * (1 - left[case] / whole[case]):
                    label = pick(task, f"cut {case}", label)
                told[key][task.name] = label
    (prompt, *_) = data.prompts.values()
    (slot,) = [{"before": each.before, "after": each.after} for each in prompt.messages if each.after is not None]
    return Script(
        answers={"style": "confusion", "truth": told, "accuracy": 1.0},
        slot=slot,
        packs={"size_loss": size_loss, "position_loss": given.position_loss},
        latency={"median_s": 0.02, "sigma": 0.3},
    )


def lengths(sample: Sample, way: Way) -> dict[str, int]:
    cases = sample.cut(way)
    tokens = {row["content_hash"]: row["n_tokens"] for row in cases.texts.to_pylist()}
    return {case: tokens[key] for case, key in cases.hashes.items()}


@dataclass(frozen=True)
class Recorded:
    """What one data set's ways came to."""

    data: Data
    measured: dict[Way, Measured]
    said: dict[Way, Said]

    def right(self, labels: Labels) -> float:
        """The share of labels that are true, over all tasks."""
        rates = agreement(self.data.truth, labels).values()
        return sum(rate.hits for rate in rates) / sum(rate.n for rate in rates)


def record(
    data: Data, plan: RequestPlan, sequences: Sequence[Chain], *, repeats: int = 2, enough: float = 0.0
) -> Recorded:
    """Asks in every way; a sequence ends after a way that agrees on less than `enough`."""
    measured: dict[Way, Measured] = {}
    said: dict[Way, Said] = {}
    for sequence in sequences:
        for way in sequence:
            first, *others = (ask(way, data.sample, data.prompts, plan, repeat=repeat) for repeat in range(repeats))
            said[way] = first
            measured[way] = measure(way, first, said[SINGLE], PRICE, others[0] if others else None)
            if (measured[way].worst.value or 0.0) < enough:
                break
    return Recorded(data, measured, said)


def plan_to(base_url: str, model: str = "m", in_flight: int = 64) -> RequestPlan:
    endpoint = EndpointSettings(name="one", base_url=base_url, model=model, price=PRICE)
    return RequestPlan((endpoint,), RequestSettings(max_in_flight=in_flight, timeout_s=300), "unused", hedge=False)


Row = tuple[str, Measured, float]


def rows_of(recorded: Recorded, picked: Sequence[Way]) -> list[Row]:
    found = [(way.name, recorded.measured[way], recorded.right(recorded.said[way].labels)) for way in picked]
    if recorded.data.prompts and SINGLE in picked:
        batched = recorded.measured[SINGLE].batched(BATCH_PRICE)
        found.insert(1, (batched.way.name, batched, found[0][2]))
    return found


def sure_of(data: Data) -> dict[str, str]:
    """What a student of people's labels answers: by conversation, where it is sure enough and nobody asks anyway."""
    (task,) = data.tasks
    provider = EmbeddedProvider()
    vectors = provider.embed([text for text, _ in data.others])
    taught = [(label,) for _, label in data.others]
    first, second = (int(share * len(taught)) for share in (LEARNED, LEARNED + TUNED))
    learn, tune = slice(first), slice(first, second)
    student = fit("logistic", (task.name,), vectors[learn], taught[learn])
    student = calibrated(student, vectors[tune], taught[tune])
    held = student.predict(vectors[second:])
    agrees = student.agrees(held.labels, taught[second:])
    threshold = choose_threshold(held.scores, agrees, PROMISE, 0.05).threshold
    cases = list(data.sample.conversations)
    predicted = student.predict(provider.embed([data.sample.conversations[case][0].content for case in cases]))
    sure = predicted.scores >= (np.inf if threshold is None else threshold)
    sure &= np.array([unit(f"asked anyway {case}") >= RANDOM_SHARE for case in cases])
    names = [name for (name,) in student.names(predicted.labels)]
    return {case: name for case, name, knows in zip(cases, names, sure, strict=True) if knows}


def cascaded(recorded: Recorded, way: Way, known: Mapping[str, str]) -> Row:
    """The way, asked only about what a student is not sure of."""
    (task,) = recorded.data.tasks
    labels = {task.name: {**recorded.said[way].labels[task.name], **known}}
    left, before = 1 - len(known) / len(recorded.data.sample), recorded.measured[way]
    whole = {"calls", "input_tokens", "cached_tokens", "output_tokens"}
    measured = replace(
        before,
        agreement=agreement(recorded.said[SINGLE].labels, labels),
        cost_usd=before.cost_usd * left,
        seconds=before.seconds * left,
        flips=before.flips and Rate(round(before.flips.hits * left), before.flips.n),
        **{name: round(getattr(before, name) * left) for name in whole},
    )
    joined = f"cascade ({1 - left:.0%} answered)"
    return (joined if way == SINGLE else f"{joined}, {way.name}"), measured, recorded.right(labels)


def show(title: str, found: Sequence[Row], console: Console) -> None:
    columns = ("calls", "in", "cached", "out", "cost", "fewer", "agreement with single calls", "accuracy", "flips", "s")
    table = Table("way", title=title)
    for name in columns:
        table.add_column(name, justify="right")
    single = found[0][1]
    for name, each, right in found:
        worst = each.worst
        table.add_row(
            name, f"{each.calls:,}", f"{each.input_tokens:,}", f"{each.cached_tokens:,}", f"{each.output_tokens:,}",
            f"{each.cost_usd:.4f} $", f"{single.tokens / each.tokens:.1f} x",
            f"{worst.value:.1%} ({worst.low(0.025):.1%} to {worst.high(0.025):.1%})", f"{right:.1%}",
            "" if each.flips is None else f"{each.flips.value:.1%}", f"{each.seconds:.0f}",
        )  # fmt: skip
    console.print(table)


def alike(recorded: Recorded) -> dict[Way, dict[str, np.ndarray]]:
    """By way and task, which conversations have the label of the single call; every one of these has a label."""
    single = recorded.said[SINGLE].labels
    return {
        way: {
            task: np.array([said.labels[task].get(case) == labels[case] for case in recorded.data.sample.conversations])
            for task, labels in single.items()
        }
        for way, said in recorded.said.items()
    }


def draw(recorded: Recorded, same: Mapping[Way, Mapping[str, np.ndarray]], at: np.ndarray) -> dict[Way, Measured]:
    """What would have been measured on these conversations."""
    return {
        way: replace(each, agreement={task: Rate(int(hit[at].sum()), len(at)) for task, hit in same[way].items()})
        for way, each in recorded.measured.items()
    }


def tuned(recorded: Recorded, given: argparse.Namespace, wanted: float, sample: int, title: str) -> str:
    """Tunes on draws from the recorded answers; what all of them say is the truth about a way."""
    rng, same, count = np.random.default_rng(given.seed), alike(recorded), len(recorded.data.sample)
    sequences, broken = recorded.data.sequences(), 0
    chosen: list[Measured] = []
    for _ in range(given.repeats):
        measured = draw(recorded, same, rng.integers(count, size=sample))
        way = choose(measured, sequences, wanted, given.confidence).chosen.way
        chosen.append(recorded.measured[way])
        broken += way != SINGLE and (recorded.measured[way].worst.value or 0.0) < wanted
    single = recorded.measured[SINGLE]
    fewer = [single.tokens / each.tokens for each in chosen]
    before = recorded.right(recorded.said[SINGLE].labels)
    lost = [100 * (before - recorded.right(recorded.said[each.way].labels)) for each in chosen]
    names = [each.way.name for each in chosen]
    usual = max(set(names), key=names.count)
    return (
        f"{title}: wanted {wanted:.2%} at {given.confidence:.0%} confidence, {sample:,} conversations: "
        f"{np.median(fewer):.1f} times fewer tokens at the median ({min(fewer):.1f} to {max(fewer):.1f}), accuracy "
        f"lost {np.median(lost):.2f} points ({min(lost):.2f} to {max(lost):.2f}); broken in {broken} of "
        f"{given.repeats} (allowed {given.repeats * (1 - given.confidence):.0f}); most often: {usual}"
    )


def just_missed(recorded: Recorded) -> float:
    """An agreement that the cheapest way misses by a hair: the hardest case for the promise."""
    cheapest = min(recorded.measured.values(), key=Measured.dearness)
    return min((cheapest.worst.value or 0.0) + 0.0005, 0.9995)


def best_of(one: Measured, rows: Sequence[Row]) -> str:
    """Whether no other way agrees as often with fewer tokens."""
    rate = one.worst.value or 0.0
    beaten = any(each.tokens < one.tokens and (each.worst.value or 0.0) >= rate for _, each, _ in rows)
    return "no" if beaten else "yes"


def plot(found: Mapping[str, Sequence[Row]], path: Path) -> None:
    import altair as alt

    values = [
        {"data": name, "way": way, "fewer": rows[0][1].tokens / each.tokens, "agreement": each.worst.value,
         "low": each.worst.low(0.025), "high": each.worst.high(0.025), "best": best_of(each, rows)}
        for name, rows in found.items()
        for way, each, _ in rows
    ]  # fmt: skip
    fewer = alt.X("fewer:Q", title="times fewer tokens", scale=alt.Scale(type="log"))
    base = alt.Chart(pl.DataFrame(values)).encode(x=fewer, color=alt.Color("best:N", title="nothing beats it"))
    title = "agreement with single calls"
    y = alt.Y("agreement:Q", axis=alt.Axis(format="%"), scale=alt.Scale(zero=False), title=title)
    bars = base.mark_rule(opacity=0.5).encode(y="low:Q", y2="high:Q")
    names = base.transform_filter("datum.best == 'yes'").mark_text(align="right", dx=-6, dy=9, fontSize=8, limit=200)
    chart = (bars + base.mark_circle(size=60).encode(y=y) + names.encode(y=y, text="way:N")).properties(
        width=380, height=300
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    chart.facet("data:N", columns=3).resolve_scale(x="independent", y="independent").save(path, ppi=120)


def live(data: Data, console: Console) -> None:
    from tests.llm_server import MODEL, serve_llm

    ways = ((Way(), Way(pack=2), Way(pack=4)),)
    with serve_llm() as base_url:
        recorded = record(data, plan_to(base_url, MODEL, 2), ways)
    show(f"live SmolLM2-135M, {len(data.sample)} requests of {data.name}", rows_of(recorded, list(ways[0])), console)


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
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    console, path = Console(width=170), make_golden.find_data()
    if path is None:
        raise SystemExit("shared/data is not beside this checkout")
    shown: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as folder, serve() as server:
        for name in ("ShareGPT", *GOLDEN):
            for kind, loss in (("", given.size_loss), (", 100 times the loss to company", 100 * given.size_loss)):
                where = Path(folder, f"{name}{kind}")
                data = golden(name, where, path, given.count) if name in GOLDEN else sharegpt(where, path, given.count)
                server.set_script(script(data, given, loss))
                recorded = record(data, plan_to(server.base_url), data.sequences(), repeats=1 if kind else 2,
                                  enough=given.agreement - HOPELESS if kind else 0.0)  # fmt: skip
                if not kind:
                    shown[name] = rows_of(recorded, list(recorded.measured))
                    if data.others:
                        known = sure_of(data)
                        shown[name] += [cascaded(recorded, way, known) for way in (SINGLE, Way(pack=8), Way(pack=32))]
                    title = f"{name}: {given.count:,} conversations, {', '.join(data.prompts)}"
                    show(title, shown[name], console)
                for size in given.samples:
                    for wanted in (given.agreement, *([] if kind else [just_missed(recorded)])):
                        console.print(tuned(recorded, given, wanted, size, name + kind), highlight=False)
        if given.live:
            live(golden("HWU64", Path(folder, "live"), path, given.live), console)
    plot(shown, CHECKOUT / "benchmarks" / "results" / "reducers.png")


if __name__ == "__main__":
    main()
